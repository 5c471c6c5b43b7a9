import { ShapeError } from '../errors.js'
import type { Shape } from '../ir/graph.js'
import { defineOp } from './define.js'
import { fixed, match, text, touched } from './shapes.js'

const attributes = { heads: 'i32', scale: 'f32', dropout: 'f32', rng: 'u32', max_length: 'i32' } as const

/** C of qkv[T,3C], where C = heads·D. */
function width(op: string, qkv: Shape, heads: unknown): number {
  const columns = fixed(op, 'the width of "qkv"', qkv[1]!)
  if (typeof heads !== 'number' || heads < 1 || columns % (3 * heads) !== 0) {
    throw new ShapeError(`${op}: operand "qkv" is ${text(qkv)}, expected [T, 3·heads·D] with ${heads} heads`, {
      op,
      operand: 'qkv',
      got: qkv,
    })
  }
  return columns / 3
}

/** Scores, probabilities and sums over keys; sequences are taken to be of equal length, since cost knows no others. */
function pairFlops(qkv: readonly number[] = [], cu: readonly number[] = []): number {
  const [tokens = 0, columns = 0] = qkv
  return (4 * tokens * tokens * columns) / 3 / Math.max(1, (cu[0] ?? 2) - 1)
}

/**
 * Self-attention within each sequence of the packed batch (Vaswani et al. 2017, equation 1): per head
 * y = dropout(softmax(q·kᵀ·scale))·v. qkv f32[T,3C]: all q heads, then k, then v; head h = columns h·D.. of each.
 * Saves only lse f32[H,T], the log-sum-exp of the scaled scores: probabilities are made again (Dao et al. 2022, §3.1).
 */
export const attention = defineOp({
  name: 'attention',
  code: 10,
  outputs: { y: { stored: 'narrow' }, lse: { optional: true } },
  inputs: { qkv: { stored: 'narrow' }, cu: { dtype: 'i32' } },
  attributes,
  shape(shapes, { heads }) {
    match('attention', shapes, { qkv: 'T W', cu: 'B+1' })
    return { y: ['T', width('attention', shapes.qkv!, heads)], lse: [Number(heads), 'T'] }
  },
  saves: () => ['lse'],
  vjp({ node, dy, emit }) {
    const { qkv, cu } = node.inputs
    return { qkv: emit(attentionBackward, { dy, qkv, lse: node.outputs.lse, cu }, node.attributes).d_qkv! }
  },
  cost: (inputs, outputs) => ({ flops: pairFlops(inputs.qkv, inputs.cu), bytes: touched(inputs, outputs) }),
})

/** With P from qkv and lse: dS = P∘(dP - Σ_j P dP), dq = scale·dS·k, dk = scale·dSᵀ·q, dv = Pᵀ·dy, dropout in P and dP. */
export const attentionBackward = defineOp({
  name: 'attention_backward',
  code: 11,
  outputs: { d_qkv: { stored: 'narrow' } },
  inputs: { dy: { stored: 'narrow' }, qkv: { stored: 'narrow' }, lse: {}, cu: { dtype: 'i32' } },
  attributes,
  shape(shapes, { heads }) {
    const dim = match('attention_backward', shapes, { dy: 'T C', qkv: 'T W', lse: 'H T', cu: 'B+1' })
    const columns = width('attention_backward', shapes.qkv!, heads)
    if (dim('C') !== columns) {
      throw new ShapeError(`attention_backward: operand "dy" is ${text(shapes.dy!)}, expected [T, ${columns}]`, {
        op: 'attention_backward',
        operand: 'dy',
        got: shapes.dy,
      })
    }
    return { d_qkv: ['T', dim('W')] }
  },
  cost: (inputs, outputs) => ({ flops: 2.5 * pairFlops(inputs.qkv, inputs.cu), bytes: touched(inputs, outputs) }),
})
