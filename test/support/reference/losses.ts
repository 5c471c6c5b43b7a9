/** Loss functions, each with its gradient; every loss is one number. */
import { need, tensor } from './types.js'
import type { Kernel, Round } from './types.js'

/** Softmax of values and the log of its normaliser. */
function softmax(values: ArrayLike<number>, r: Round): { p: Float64Array; logSum: number } {
  const list = Float64Array.from(values)
  const top = list.reduce((a, b) => Math.max(a, b), -Infinity)
  const e = list.map((value) => r(Math.exp(r(value - top))))
  const sum = e.reduce((a, b) => r(a + b), 0)
  return { p: e.map((value) => r(value / sum)), logSum: r(top + r(Math.log(sum))) }
}

const ignored = -100

function crossEntropyBoth(
  logits: Float64Array | Int32Array,
  labels: Float64Array | Int32Array,
  classes: number,
  r: Round,
) {
  const gradient = new Float64Array(logits.length)
  const counted = Array.from(labels).filter((label) => label !== ignored).length
  let sum = 0
  labels.forEach((label: number, row: number) => {
    if (label === ignored) return
    const values = logits.subarray(row * classes, (row + 1) * classes)
    const { p, logSum } = softmax(values, r)
    sum = r(sum + r(logSum - values[label]!))
    p.forEach((value, k) => {
      gradient[row * classes + k] = r((value - (k === label ? 1 : 0)) / counted)
    })
  })
  return { loss: counted ? r(sum / counted) : 0, gradient }
}

/** Mean over the rows whose label is not -100; none counted: 0. */
export const crossEntropy: Kernel = (call) => {
  const logits = need(call, 'logits')
  const { loss } = crossEntropyBoth(logits.data, need(call, 'labels').data, logits.shape[1]!, call.round)
  return { loss: tensor([1], [loss]) }
}

export const crossEntropyBackward: Kernel = (call) => {
  const logits = need(call, 'logits')
  const { gradient } = crossEntropyBoth(logits.data, need(call, 'labels').data, logits.shape[1]!, call.round)
  return { d_logits: tensor(logits.shape, gradient) }
}

export const mse: Kernel = (call) => {
  const r = call.round
  const labels = need(call, 'labels').data
  const prediction = need(call, 'prediction').data
  let sum = 0
  for (let i = 0; i < prediction.length; i++) {
    const d = r(prediction[i]! - labels[i]!)
    sum = r(sum + r(d * d))
  }
  return { loss: tensor([1], [prediction.length ? r(sum / prediction.length) : 0]) }
}

export const mseBackward: Kernel = (call) => {
  const r = call.round
  const labels = need(call, 'labels').data
  const prediction = need(call, 'prediction')
  const n = prediction.data.length
  const gradient = Float64Array.from(prediction.data, (value, i) => r(r(2 * r(value - labels[i]!)) / n))
  return { d_prediction: tensor(prediction.shape, gradient) }
}

/** Mean over all B·K of max(x,0) - x·label + log(1 + exp(-|x|)). */
export const bce: Kernel = (call) => {
  const r = call.round
  const logits = need(call, 'logits').data
  const labels = need(call, 'labels').data
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    const x = logits[i]!
    sum = r(sum + r(r(Math.max(x, 0) - r(x * labels[i]!)) + r(Math.log1p(r(Math.exp(-Math.abs(x)))))))
  }
  return { loss: tensor([1], [logits.length ? r(sum / logits.length) : 0]) }
}

export const bceBackward: Kernel = (call) => {
  const r = call.round
  const logits = need(call, 'logits')
  const labels = need(call, 'labels').data
  const n = logits.data.length
  const gradient = Float64Array.from(logits.data, (x, i) => r(r(r(1 / r(1 + r(Math.exp(-x)))) - labels[i]!) / n))
  return { d_logits: tensor(logits.shape, gradient) }
}

function spanBoth(call: Parameters<Kernel>[0]) {
  const r = call.round
  const logits = need(call, 'logits')
  const labels = need(call, 'labels').data
  const cu = need(call, 'cu').data
  const rows = cu.length - 1
  const gradient = new Float64Array(logits.data.length)
  let sum = 0
  for (let b = 0; b < rows; b++) {
    if (cu[b + 1] === cu[b]) continue
    for (const side of [0, 1]) {
      const values = Float64Array.from({ length: cu[b + 1]! - cu[b]! }, (_, t) => logits.data[(cu[b]! + t) * 2 + side]!)
      const { p, logSum } = softmax(values, r)
      const label = labels[b * 2 + side]!
      sum = r(sum + r(r(logSum - values[label]!) / 2))
      p.forEach((value, t) => {
        gradient[(cu[b]! + t) * 2 + side] = r((value - (t === label ? 1 : 0)) / (2 * rows))
      })
    }
  }
  return { loss: tensor([1], [rows ? r(sum / rows) : 0]), gradient: tensor(logits.shape, gradient) }
}

/** Mean over B of the halved sum of the start's and the end's cross-entropy, softmax over the sequence's own tokens. */
export const span: Kernel = (call) => ({ loss: spanBoth(call).loss })

export const spanBackward: Kernel = (call) => ({ d_logits: spanBoth(call).gradient })
