/** Three points of a distribution. */
export interface Quantiles {
  readonly median: number
  readonly p10: number
  readonly p90: number
}

/** Linear between the two nearest values, as most tools have it. @param share 0 to 1 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const below = sorted[Math.floor(at)]!
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at))
}

/** @param digits significant ones that are kept */
export function quantiles(values: readonly number[], digits = 4): Quantiles {
  const at = (share: number) => significant(quantile(values, share), digits)
  return { median: at(0.5), p10: at(0.1), p90: at(0.9) }
}

/** The number with so many significant digits. */
export function significant(value: number, digits = 4): number {
  return Number(value.toPrecision(digits))
}

export function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
