/** Metrics of multi-label classification, from rows of 0 and 1 with a column a label. An undefined F1 (0/0) counts as 0. */

import { f1, ratio } from './ratio.js'

type Rows = readonly ArrayLike<number>[]

/** Per label: rows where it is gold and predicted, gold, predicted. */
function count(gold: Rows, predicted: Rows, labels: number) {
  const counts = Array.from({ length: labels }, () => ({ right: 0, gold: 0, predicted: 0 }))
  for (const [i, row] of gold.entries()) {
    for (const [k, label] of counts.entries()) {
      const g = row[k]!
      const p = predicted[i]![k]!
      label.right += g * p
      label.gold += g
      label.predicted += p
    }
  }
  return counts
}

/** F1 over all decisions of all labels together. */
export function microF1(gold: Rows, predicted: Rows, labels: number): number {
  const sum = { right: 0, gold: 0, predicted: 0 }
  for (const label of count(gold, predicted, labels)) {
    sum.right += label.right
    sum.gold += label.gold
    sum.predicted += label.predicted
  }
  return f1(sum.right, sum.gold, sum.predicted)
}

/** Mean of the labels' F1, over all labels: one that is neither gold nor predicted counts as 0 (as scikit-learn). */
export function macroF1(gold: Rows, predicted: Rows, labels: number): number {
  let sum = 0
  for (const label of count(gold, predicted, labels)) sum += f1(label.right, label.gold, label.predicted)
  return ratio(sum, labels)
}

/** Share of rows whose labels are all right. */
export function subsetAccuracy(gold: Rows, predicted: Rows, labels: number): number {
  let right = 0
  for (const [i, row] of gold.entries()) {
    let same = true
    for (let k = 0; k < labels; k++) if (row[k] !== predicted[i]![k]) same = false
    right += Number(same)
  }
  return ratio(right, gold.length)
}
