import type { Canonical } from './canonicalise.js'
import { matchLayerNorm } from './fuse/layer_norm.js'
import { matchLinear } from './fuse/linear.js'
import { difference, type Mismatch, maker, near, operandOrders, scaled } from './fuse/pattern.js'
import { scalarOf, shapeOf } from './known.js'
import type { Operator, Quantity } from './network.js'

/**
 * Names what a file has that cannot be lifted yet, where it is a known kind of encoder: at the place that did not fit,
 * else anywhere in the graph. Undefined where it is none of these.
 */
export function nameMissing(canonical: Canonical, { value, code }: Mismatch): string | undefined {
  if (code !== 'ERR_ONNX_UNSUPPORTED') return undefined
  const here = value && (nameActivation(value) ?? namePositionScores(value) ?? nameRotary(value))
  if (here) return here
  for (const operator of canonical.operators) {
    const missing = nameNorm(operator)
    if (missing) return missing
  }
  return canonical.operators.some(isPreNorm) ? 'pre-LayerNorm layers, x + f(LayerNorm(x))' : undefined
}

function nameActivation(value: Quantity): string | undefined {
  const factors = maker(value, 'Mul')?.inputs
  for (const [x, gate] of operandOrders(maker(value, 'Mul'))) {
    const inner = maker(gate, 'Sigmoid')?.inputs[0]
    const scaling = inner && scaled(inner)
    if (scaling?.x === x && near(scaling.factor, 1.702)) return 'the activation QuickGELU, x·sigmoid(1.702·x)'
  }
  if (maker(value, 'com.microsoft:QuickGelu')) return 'the activation QuickGELU, x·sigmoid(1.702·x)'
  // Two layers of one input, or halves of one, multiplied.
  if (factors?.every((factor) => factor && scalarOf(factor) === undefined && readsLinear(factor)))
    return 'gated feed-forwards (GLU, GeGLU, SwiGLU), act(a(x))·b(x)'
  return undefined
}

/** A linear layer, or an activation of one. */
function readsLinear(value: Quantity): boolean {
  let x: Quantity | undefined = value
  for (let step = 0; x && step < 8; step++) {
    if (matchLinear(x)) return true
    const operator = maker(x, 'Gelu', 'com.microsoft:Gelu', 'Relu', 'Sigmoid', 'Tanh', 'Erf', 'Mul', 'Div', 'Add')
    x = operator?.inputs.find((input) => input && scalarOf(input) === undefined)
  }
  return false
}

/** Position scores: a table of numbers for each head, or of vectors that are multiplied with queries. */
function namePositionScores(value: Quantity): string | undefined {
  for (const operator of within(value, 16)) {
    const [table, index] = operator.inputs
    const shape = operator.type === 'Gather' ? shapeOf(table) : undefined
    // Tables that are looked up by places, not by what the tokens are.
    if (!table?.constant || shape?.length !== 2 || shapeOf(index)?.length !== 2 || !isDistance(index)) continue
    const scores = maker(value, 'Einsum', 'MatMul') ?? within(value, 16).find(({ type }) => type === 'Einsum')
    return scores
      ? 'relative-key position scores, queries times vectors by distance'
      : `bucketed relative position biases (MPNet, T5), a table of ${shape.join('x')} numbers by distance and head`
  }
  return undefined
}

/** Whether an index is computed as a difference of places. */
function isDistance(index: Quantity | undefined): boolean {
  const makers = index ? within(index, 64) : []
  return makers.some(({ type }) => type === 'Sub') && makers.some(({ type }) => type === 'Range' || type === 'Slice')
}

function nameRotary(value: Quantity): string | undefined {
  const types = new Set(within(value, 48).map(({ type }) => type))
  const fused = types.has('com.microsoft:RotaryEmbedding') || types.has('RotaryEmbedding')
  return fused || (types.has('Cos') && types.has('Sin')) ? 'rotary positions of queries and keys' : undefined
}

function nameNorm({ type, inputs }: Operator): string | undefined {
  if (/^(com\.microsoft:)?(SkipSimplified|Simplified)LayerNormalization$|^RMSNormalization$/.test(type))
    return 'RMS normalisation in place of LayerNorm'
  // x · 1/sqrt(mean(x²) + epsilon), without a mean taken off.
  const [a, b] = type === 'Add' ? inputs : []
  const mean = maker(a, 'ReduceMean') ?? maker(b, 'ReduceMean')
  const squared = maker(mean?.inputs[0], 'Pow', 'Mul')?.inputs[0]
  if (!squared || shapeOf(squared)?.length !== 3 || difference(squared)) return undefined
  return scalarOf(a) !== undefined || scalarOf(b) !== undefined ? 'RMS normalisation in place of LayerNorm' : undefined
}

/** A LayerNorm whose input goes on beside it into another sum: the residual passes it by. */
function isPreNorm(operator: Operator): boolean {
  const output = operator.outputs[0]
  const norm = output && matchLayerNorm(output)
  return (
    norm?.x.consumers.some(
      (reader) => reader.type === 'Add' && reader.inputs.every((input) => input && !input.constant && input !== output),
    ) ?? false
  )
}

/** The nodes that a value is made by, nearest first. */
function within(value: Quantity, most: number): Operator[] {
  const found = new Set<Operator>()
  if (value.producer) found.add(value.producer)
  for (const operator of found)
    for (const input of operator.inputs) if (input?.producer && found.size < most) found.add(input.producer)
  return [...found]
}
