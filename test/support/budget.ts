/**
 * The error budget: our error against f64 may be a small multiple of that of a plain f32 loop, plus a stated floor.
 * Parity is judged by the normalised mean square error and by the largest error, since the first forgives one bad
 * element and the second forgives a small bias everywhere.
 */

/** Multiple of the plain loop's largest error that a forward result may show. */
export const forwardFactor = 2
/** The same for gradients, which go through more roundings. */
export const gradientFactor = 3
/**
 * Share of the largest value that is always granted: eight units in the last place of f32. A plain loop may be right
 * by luck on short sums, and the vector exponential is good to about two units.
 */
export const relativeFloor = 8 * 2 ** -24
export const largestNmse = 1e-7

export interface Budget {
  readonly factor: number
  /** Granted whatever the values are, for functions of known absolute error. @default 0 */
  readonly absoluteFloor?: number
}

export interface Comparison {
  readonly ok: boolean
  /** Empty when ok, else what is wrong with which element. */
  readonly message: string
  readonly error: number
  readonly allowed: number
}

export function largest(values: ArrayLike<number>): number {
  let top = 0
  for (let i = 0; i < values.length; i++) top = Math.max(top, Math.abs(values[i]!))
  return top
}

/** Largest difference and where; a NaN or an infinity where the reference has none is an infinite difference. */
function largestDifference(got: ArrayLike<number>, want: ArrayLike<number>): { error: number; index: number } {
  let error = 0
  let index = 0
  for (let i = 0; i < want.length; i++) {
    const difference = Number.isFinite(got[i]) ? Math.abs(got[i]! - want[i]!) : Infinity
    if (difference > error) [error, index] = [difference, i]
  }
  return { error, index }
}

function nmse(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let error = 0
  let power = 0
  for (let i = 0; i < want.length; i++) {
    error += (got[i]! - want[i]!) ** 2
    power += want[i]! ** 2
  }
  return power === 0 ? 0 : error / power
}

/**
 * @param got what the kernel made
 * @param plain the f32 loop's result
 * @param want the f64 result
 */
export function compare(
  got: Float32Array,
  plain: ArrayLike<number>,
  want: ArrayLike<number>,
  budget: Budget,
): Comparison {
  if (got.length !== want.length) {
    return { ok: false, message: `has ${got.length} elements, expected ${want.length}`, error: Infinity, allowed: 0 }
  }
  const { error, index } = largestDifference(got, want)
  const plainError = largestDifference(plain, want).error
  const floor = relativeFloor * largest(want) + (budget.absoluteFloor ?? 0)
  const allowed = budget.factor * plainError + floor
  const details = `element ${index}: got ${got[index]}, expected ${want[index]}`
  if (!(error <= allowed)) {
    const message = `error ${error} above ${allowed} (plain f32 loop ${plainError}); ${details}`
    return { ok: false, message, error, allowed }
  }
  const square = nmse(got, want)
  if (square > largestNmse && error > floor) {
    return { ok: false, message: `NMSE ${square} above ${largestNmse}; ${details}`, error, allowed }
  }
  return { ok: true, message: '', error, allowed }
}

/** Largest absolute difference of two arrays of one length. */
export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return a.length === b.length ? largestDifference(a, b).error : Infinity
}
