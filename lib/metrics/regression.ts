/** Metrics of regression, from gold and predicted values. A correlation with values that are all equal counts as 0. */

import { ratio } from './ratio.js'

/** Mean of the squared differences. */
export function meanSquaredError(gold: ArrayLike<number>, predicted: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < gold.length; i++) sum += (gold[i]! - predicted[i]!) ** 2
  return ratio(sum, gold.length)
}

/** Pearson's correlation: the covariance over both standard deviations. In two passes, so that large means lose nothing. */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const meanA = mean(a)
  const meanB = mean(b)
  let both = 0
  let squaresA = 0
  let squaresB = 0
  for (let i = 0; i < a.length; i++) {
    const x = a[i]! - meanA
    const y = b[i]! - meanB
    both += x * y
    squaresA += x * x
    squaresB += y * y
  }
  return ratio(both, Math.sqrt(squaresA * squaresB))
}

/** Spearman's correlation: Pearson's of the ranks, equal values sharing the mean of theirs. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return pearson(ranks(a), ranks(b))
}

/** Ranks from 1; equal values get the mean of the ranks that they take together. */
export function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (_, i) => i).sort((i, j) => values[i]! - values[j]!)
  const result = new Float64Array(values.length)
  for (let start = 0; start < order.length;) {
    let end = start + 1
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++
    for (let k = start; k < end; k++) result[order[k]!] = (start + 1 + end) / 2
    start = end
  }
  return result
}

function mean(values: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  return ratio(sum, values.length)
}
