/** The bottleneck's width m, of which the files of the `adapters` library have only the ratio to the hidden width d. */

/** The factor from which the library gets m again: d / m is off by one for many m, since it is cut after a division. */
export function reductionFactor(hidden: number, size: number): number {
  return hidden % size === 0 ? hidden / size : hidden / (size + 0.5)
}

/** m as the library computes it: at least 1; Infinity where the factor is too small for a quotient. */
export function bottleneckSize(hidden: number, factor: number): number {
  if (!Number.isFinite(hidden / factor)) return Infinity
  return Math.max(1, Math.trunc(floorDivide(hidden, factor)))
}

/** Python's `//` of floats: exact where the rounded quotient is not. */
function floorDivide(a: number, b: number): number {
  const quotient = (a - (a % b)) / b
  const floor = Math.floor(quotient)
  return quotient - floor > 0.5 ? floor + 1 : floor
}
