/**
 * The oracle: every op of native/ops/opcodes.h as plain loops in f64 (or, with `round`, in f32), and an interpreter
 * that runs a list of graph nodes through them.
 */
import type { Node, Value } from '../../lib/ir/graph.js'
import { opByName } from '../../lib/ops/index.js'
import { adapter, adapterBackward } from './reference/adapter.js'
import { attention, attentionBackward } from './reference/attention.js'
import { embedding, embeddingBackward } from './reference/embedding.js'
import { linear, linearDw, linearDx } from './reference/linear.js'
import {
  bce,
  bceBackward,
  crossEntropy,
  crossEntropyBackward,
  mse,
  mseBackward,
  span,
  spanBackward,
} from './reference/losses.js'
import { layerNorm, layerNormBackward, residualLayerNorm, residualLayerNormBackward } from './reference/norm.js'
import { adamw, gradNorm } from './reference/optimizer.js'
import { add, cast, dropout, mul, pool, poolBackward } from './reference/pointwise.js'
import type { Kernel, Round, Scalars, Tensor } from './reference/types.js'

export const exact: Round = (value) => value
export const single: Round = Math.fround

const noRows = { d_word: 0, d_position: 0, d_token_type: 0 }

/** By op name. The row counts of embedding tables come from the node's outputs, see `evaluate`. */
export const reference: Readonly<Record<string, Kernel>> = {
  embedding,
  embedding_backward: embeddingBackward(noRows),
  layer_norm: layerNorm,
  layer_norm_backward: layerNormBackward,
  residual_layer_norm: residualLayerNorm,
  residual_layer_norm_backward: residualLayerNormBackward,
  linear,
  linear_dx: linearDx,
  linear_dw: linearDw,
  attention,
  attention_backward: attentionBackward,
  adapter,
  adapter_backward: adapterBackward,
  dropout,
  add,
  mul,
  pool,
  pool_backward: poolBackward,
  cross_entropy: crossEntropy,
  cross_entropy_backward: crossEntropyBackward,
  mse,
  mse_backward: mseBackward,
  bce,
  bce_backward: bceBackward,
  span,
  span_backward: spanBackward,
  grad_norm: gradNorm,
  adamw,
  cast,
}

function kernelOf(node: Node): Kernel {
  if (node.op === 'embedding_backward') {
    const rows = (name: string) => Number(node.outputs[name]?.shape[0] ?? 0)
    return embeddingBackward({
      d_word: rows('d_word'),
      d_position: rows('d_position'),
      d_token_type: rows('d_token_type'),
    })
  }
  const kernel = reference[node.op]
  if (!kernel) throw new TypeError(`no reference for op "${node.op}"`)
  return kernel
}

/** Attribute names turned into the numbers native sees; f32 attributes are rounded as their word is. */
function numericAttributes(node: Node): Record<string, number> {
  return Object.fromEntries(
    Object.entries(opByName(node.op).attributes).map(([name, spec]) => {
      const value = node.attributes[name]
      if (typeof spec !== 'string') return [name, typeof value === 'string' ? spec.indexOf(value) : Number(value ?? 0)]
      return [name, spec === 'f32' ? Math.fround(Number(value ?? 0)) : Number(value ?? 0)]
    }),
  )
}

/** Runs nodes in order over `values`, which gains every output. */
export function evaluate(nodes: readonly Node[], values: Map<Value, Tensor>, scalars: Scalars, round: Round): void {
  for (const node of nodes) {
    const inputs = Object.fromEntries(
      Object.entries(node.inputs).map(([name, value]) => {
        const held = values.get(value)
        if (!held) throw new TypeError(`${node.op} "${node.name}": operand "${name}" (${value.name}) has no value yet`)
        return [name, held]
      }),
    )
    const outputs = kernelOf(node)({ inputs, attributes: numericAttributes(node), scalars, round })
    for (const [name, value] of Object.entries(node.outputs)) {
      const held = outputs[name]
      if (!held) throw new TypeError(`the reference of "${node.op}" gives no "${name}"`)
      values.set(value, held)
    }
  }
}
