/** Metrics of single-label classification, from class indices. An undefined ratio (0/0) counts as 0. */

import { ratio } from './ratio.js'

/** Counts of gold class (row) by predicted class (column), row-major [classes, classes]. */
export function confusion(gold: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): Float64Array {
  const counts = new Float64Array(classes * classes)
  for (let i = 0; i < gold.length; i++) counts[gold[i]! * classes + predicted[i]!]!++
  return counts
}

/** Share of rows predicted right. */
export function accuracy(gold: ArrayLike<number>, predicted: ArrayLike<number>): number {
  let right = 0
  for (let i = 0; i < gold.length; i++) if (gold[i] === predicted[i]) right++
  return ratio(right, gold.length)
}

/** F1 of one class: the harmonic mean of precision and recall, 2·tp / (2·tp + fp + fn). */
export function binaryF1(gold: ArrayLike<number>, predicted: ArrayLike<number>, positive: number): number {
  let both = 0
  let either = 0
  for (let i = 0; i < gold.length; i++) {
    const g = gold[i] === positive
    const p = predicted[i] === positive
    if (g && p) both++
    either += Number(g) + Number(p)
  }
  return ratio(2 * both, either)
}

/** Mean of the classes' F1, over the classes that occur in the gold labels or the predictions (as scikit-learn). */
export function macroF1(gold: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): number {
  let sum = 0
  let present = 0
  const seen = new Uint8Array(classes)
  for (let i = 0; i < gold.length; i++) seen[gold[i]!] = seen[predicted[i]!] = 1
  for (let k = 0; k < classes; k++) {
    if (!seen[k]) continue
    sum += binaryF1(gold, predicted, k)
    present++
  }
  return ratio(sum, present)
}

/**
 * Matthews correlation for any number of classes (Gorodkin 2004, R_K): the correlation of gold and predicted one-hot
 * vectors. For two classes the usual φ coefficient.
 */
export function matthews(gold: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): number {
  const counts = confusion(gold, predicted, classes)
  const golds = new Float64Array(classes)
  const predictions = new Float64Array(classes)
  let right = 0
  for (let g = 0; g < classes; g++) {
    for (let p = 0; p < classes; p++) {
      const count = counts[g * classes + p]!
      golds[g]! += count
      predictions[p]! += count
      if (g === p) right += count
    }
  }
  const rows = gold.length
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, x, k) => sum + x * b[k]!, 0)
  const spread = Math.sqrt((rows * rows - dot(predictions, predictions)) * (rows * rows - dot(golds, golds)))
  return ratio(right * rows - dot(golds, predictions), spread)
}
