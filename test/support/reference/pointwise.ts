import { dropHidden } from './norm.js'
import { attribute, need, tensor } from './types.js'
import type { Kernel } from './types.js'

export const dropout: Kernel = (call) => ({ y: dropHidden(call, need(call, 'x')) })

/** What is stored in bf16 is rounded where it is kept, not here. */
export const cast: Kernel = (call) => ({ y: need(call, 'x') })

export const add: Kernel = (call) => {
  const b = need(call, 'b').data
  const a = need(call, 'a')
  return {
    y: tensor(
      a.shape,
      Float64Array.from(a.data, (value, i) => call.round(value + b[i]!)),
    ),
  }
}

export const mul: Kernel = (call) => {
  const b = need(call, 'b').data
  const a = need(call, 'a')
  return {
    y: tensor(
      a.shape,
      Float64Array.from(a.data, (value, i) => call.round(value * b[i]!)),
    ),
  }
}

/** Mode 0: the first token of every sequence; 1: the mean of its tokens. An empty sequence gives zeros. */
export const pool: Kernel = (call) => {
  const x = need(call, 'x')
  const cu = need(call, 'cu').data
  const width = x.shape[1]!
  const mean = attribute(call, 'mode') === 1
  const y = tensor([cu.length - 1, width])
  for (let b = 0; b + 1 < cu.length; b++) {
    const length = cu[b + 1]! - cu[b]!
    if (length === 0) continue
    for (let c = 0; c < width; c++) {
      let sum = x.data[cu[b]! * width + c]!
      if (mean) {
        for (let t = cu[b]! + 1; t < cu[b + 1]!; t++) sum = call.round(sum + x.data[t * width + c]!)
        sum = call.round(sum / length)
      }
      y.data[b * width + c] = sum
    }
  }
  return { y }
}

export const poolBackward: Kernel = (call) => {
  const dy = need(call, 'dy')
  const cu = need(call, 'cu').data
  const width = dy.shape[1]!
  const mean = attribute(call, 'mode') === 1
  const dx = tensor([cu.at(-1)!, width])
  for (let b = 0; b + 1 < cu.length; b++) {
    const end = mean ? cu[b + 1]! : Math.min(cu[b]! + 1, cu[b + 1]!)
    const share = mean ? cu[b + 1]! - cu[b]! : 1
    for (let t = cu[b]!; t < end; t++) {
      for (let c = 0; c < width; c++) dx.data[t * width + c] = call.round(dy.data[b * width + c]! / share)
    }
  }
  return { dx }
}
