/** Scaled dot-product attention (Vaswani et al. 2017 §3.2) over the tokens of each sequence. */
import { dropoutScale } from './philox.js'
import { attribute, need, tensor } from './types.js'
import type { Kernel, KernelCall, Tensor } from './types.js'

interface Head {
  readonly start: number
  readonly length: number
  readonly head: number
}

interface Sizes {
  readonly tokens: number
  readonly hidden: number
  readonly heads: number
  readonly width: number
}

function sizes(call: KernelCall): Sizes {
  const qkv = need(call, 'qkv')
  const heads = attribute(call, 'heads')
  const hidden = qkv.shape[1]! / 3
  return { tokens: qkv.shape[0]!, hidden, heads, width: hidden / heads }
}

function* eachHead(call: KernelCall): Generator<Head> {
  const cu = need(call, 'cu').data
  const { heads } = sizes(call)
  for (let b = 0; b + 1 < cu.length; b++) {
    for (let head = 0; head < heads; head++) yield { start: cu[b]!, length: cu[b + 1]! - cu[b]!, head }
  }
}

/** Element (token, part) of the packed projections: part 0 query, 1 key, 2 value. */
function at(size: Sizes, head: number, token: number, part: number, d: number): number {
  return token * 3 * size.hidden + part * size.hidden + head * size.width + d
}

/** Scaled scores of one query against the keys of its sequence. */
function scores(call: KernelCall, size: Sizes, { start, length, head }: Head, query: number): Float64Array {
  const r = call.round
  const qkv = need(call, 'qkv').data
  const row = new Float64Array(length)
  for (let j = 0; j < length; j++) {
    let dot = 0
    for (let d = 0; d < size.width; d++) {
      dot = r(dot + r(qkv[at(size, head, query, 0, d)]! * qkv[at(size, head, start + j, 1, d)]!))
    }
    row[j] = r(dot * attribute(call, 'scale'))
  }
  return row
}

function dropRow(call: KernelCall, size: Sizes, query: number, head: number, length: number): Float64Array {
  const dropout = {
    p: attribute(call, 'dropout'),
    rng: attribute(call, 'rng'),
    scalars: call.scalars,
    stream: query * size.heads + head,
  }
  return Float64Array.from({ length }, (_, j) => call.round(dropoutScale(dropout, j)))
}

/** y[T,C] and lse[H,T], the log of the sum of exponentials of the scaled scores. */
export const attention: Kernel = (call) => {
  const r = call.round
  const size = sizes(call)
  const qkv = need(call, 'qkv').data
  const y = tensor([size.tokens, size.hidden])
  const lse = tensor([size.heads, size.tokens])
  for (const part of eachHead(call)) {
    for (let i = part.start; i < part.start + part.length; i++) {
      const score = scores(call, size, part, i)
      const top = score.reduce((a, b) => Math.max(a, b), -Infinity)
      let sum = 0
      for (let j = 0; j < part.length; j++) sum = r(sum + r(Math.exp(r(score[j]! - top))))
      lse.data[part.head * size.tokens + i] = r(top + r(Math.log(sum)))
      const mask = dropRow(call, size, i, part.head, part.length)
      for (let d = 0; d < size.width; d++) {
        let mix = 0
        for (let j = 0; j < part.length; j++) {
          const p = r(r(r(Math.exp(r(score[j]! - top))) / sum) * mask[j]!)
          mix = r(mix + r(p * qkv[at(size, part.head, part.start + j, 2, d)]!))
        }
        y.data[i * size.hidden + part.head * size.width + d] = mix
      }
    }
  }
  return { y, lse }
}

/** dS = P∘(dP - delta), delta = Σ_j P dP, with dP = mask∘(dy · vᵀ); then dq = scale·dS·k, dk = scale·dSᵀ·q, dv = (mask∘P)ᵀ·dy. */
export const attentionBackward: Kernel = (call) => {
  const r = call.round
  const size = sizes(call)
  const qkv = need(call, 'qkv').data
  const lse = need(call, 'lse').data
  const dy = need(call, 'dy').data
  const scale = attribute(call, 'scale')
  const out: Tensor = tensor([size.tokens, 3 * size.hidden])
  const add = (index: number, value: number) => {
    out.data[index] = r(out.data[index]! + value)
  }
  for (const part of eachHead(call)) {
    const { start, length, head } = part
    for (let i = start; i < start + length; i++) {
      const score = scores(call, size, part, i)
      const mask = dropRow(call, size, i, head, length)
      const p = score.map((value) => r(Math.exp(r(value - lse[head * size.tokens + i]!))))
      const dp = new Float64Array(length)
      let delta = 0
      for (let j = 0; j < length; j++) {
        let dot = 0
        for (let d = 0; d < size.width; d++) {
          const g = dy[i * size.hidden + head * size.width + d]!
          dot = r(dot + r(g * qkv[at(size, head, start + j, 2, d)]!))
          add(at(size, head, start + j, 2, d), r(r(p[j]! * mask[j]!) * g))
        }
        dp[j] = r(dot * mask[j]!)
        delta = r(delta + r(p[j]! * dp[j]!))
      }
      for (let j = 0; j < length; j++) {
        const ds = r(r(p[j]! * r(dp[j]! - delta)) * scale)
        for (let d = 0; d < size.width; d++) {
          add(at(size, head, i, 0, d), r(ds * qkv[at(size, head, start + j, 1, d)]!))
          add(at(size, head, start + j, 1, d), r(ds * qkv[at(size, head, i, 0, d)]!))
        }
      }
    }
  }
  return { d_qkv: out }
}
