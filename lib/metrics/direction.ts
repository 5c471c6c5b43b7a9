/** Metrics that are better when smaller; all others are better when larger. */
const smaller: ReadonlySet<string> = new Set(['mse'])

/** True where a value of a metric is better than the best one so far. */
export function isBetter(metric: string, value: number, best: number): boolean {
  return smaller.has(metric) ? value < best : value > best
}
