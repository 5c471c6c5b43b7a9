/** a / b, where an undefined ratio (b = 0) counts as 0. */
export function ratio(a: number, b: number): number {
  return b === 0 ? 0 : a / b
}

/** Harmonic mean of precision and recall, from counts: 2·right / (gold + predicted). */
export function f1(right: number, gold: number, predicted: number): number {
  return ratio(2 * right, gold + predicted)
}
