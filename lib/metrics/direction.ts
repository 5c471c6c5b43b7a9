/** Metrics that are better when smaller; all others are better when larger. */
const smaller: ReadonlySet<string> = new Set(['mse'])

/**
 * True where a value of a metric is better than the best one so far (`undefined`: there is none). The first of equals
 * stays the best; what is not a number is worse than any number.
 */
export function isBetter(metric: string, value: number | undefined, best: number | undefined): boolean {
  if (!Number.isFinite(best)) return best === undefined || Number.isFinite(value)
  return smaller.has(metric) ? value! < best! : value! > best!
}
