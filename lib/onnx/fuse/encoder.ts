import type { Activation } from '../../ops/define.js'
import type { Canonical } from '../canonicalise.js'
import { batch, sequence } from '../dim.js'
import { shapeOf } from '../known.js'
import type { Operator, Quantity } from '../network.js'
import { matchActivation } from './activation.js'
import { type Attention, matchAttention } from './attention.js'
import { type Embedding, matchEmbedding } from './embedding.js'
import { type Grid, matchMergedHeads } from './heads.js'
import { type LayerNorm, matchLayerNorm } from './layer_norm.js'
import { type Linear, matchLinear, skipRowViews } from './linear.js'
import { Mismatch, operandOrders, maker } from './pattern.js'
import { matchPooler } from './pooler.js'

/** One post-LayerNorm transformer layer, Devlin et al. 2019. */
export interface Layer {
  readonly attention: Attention
  readonly output: Linear
  readonly attentionResidual: ResidualPlace
  readonly attentionNorm: LayerNorm
  readonly up: Linear
  readonly activation: Activation
  readonly down: Linear
  readonly outputResidual: ResidualPlace
  readonly outputNorm: LayerNorm
}

/** Where the end of a sub-layer, dense(...) + skip, is in the graph. */
export interface ResidualPlace {
  /** The operands of the sum. */
  readonly dense: Quantity
  readonly skip: Quantity
  readonly sum: Quantity
}

export interface Encoder {
  readonly embedding: Embedding
  readonly embeddingNorm: LayerNorm
  /** From the width of the tables to the layers', where these differ (ELECTRA, ALBERT). */
  readonly projection?: Linear
  readonly layers: readonly Layer[]
  /** The last layer's output in the graph. */
  readonly hidden: Quantity
  /** With the value that it makes. */
  readonly pooler?: Linear & { readonly y: Quantity }
}

/** What is known to be the output of so many layers. */
type Stage = Pick<Encoder, 'embedding' | 'embeddingNorm' | 'projection' | 'layers'>

/**
 * Finds the encoder: embeddings, then layer after layer, each recognised from the LayerNorm that ends it. LayerNorms
 * that belong to heads end no layer and are passed over; attention outside of the layers found is an error, since then
 * a layer was not understood.
 * @throws Mismatch
 */
export function matchEncoder(canonical: Canonical): Encoder {
  const { ids } = canonical.roles
  const [b = batch, s = sequence] = shapeOf(ids) ?? []
  const grid: Grid = { batch: b, sequence: s }
  const stages = new Map<Quantity, Stage>()
  const misses: Mismatch[] = []
  let hidden: Quantity | undefined
  for (const operator of canonical.operators) {
    const value = operator.outputs[0]
    const norm = value && matchLayerNorm(value)
    if (!norm) continue
    try {
      const stage = liftStage(norm, canonical, stages, grid)
      if (!stage) continue
      stages.set(value, stage)
      if (!hidden || stage.layers.length > stages.get(hidden)!.layers.length) hidden = value
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error
      misses.push(error)
    }
  }
  const stage = hidden && stages.get(hidden)
  if (!hidden || !stage?.layers.length) throw tellingMiss(misses, canonical)
  const foreign = foreignAttention(canonical, stage.layers)
  if (foreign) throw tellingMiss(misses, canonical, foreign)
  const pooler = matchPooler(
    canonical.operators.flatMap((operator) => operator.outputs[0] ?? []),
    hidden,
  )
  return { ...stage, hidden, ...(pooler ? { pooler } : {}) }
}

function liftStage(
  norm: LayerNorm,
  canonical: Canonical,
  stages: ReadonlyMap<Quantity, Stage>,
  grid: Grid,
): Stage | undefined {
  const residual = splitResidual(norm.x)
  if (!residual) {
    if (stages.size) return undefined
    return { embedding: matchEmbedding(skipRowViews(norm.x), canonical.roles), embeddingNorm: norm, layers: [] }
  }
  const ffn = matchFeedForward(residual.dense)
  if (!ffn) return middleOfLayer(residual.dense)
  const middle = matchLayerNorm(residual.skip)
  const inner = middle && splitResidual(middle.x)
  if (!middle || !inner || skipRowViews(ffn.up.x) !== residual.skip) return undefined
  const attention = matchAttention(inner.dense.x, grid)
  const before = stages.get(inner.skip) ?? projectedStage(inner.skip, stages)
  if (!before) throw new Mismatch(inner.skip, 'the embeddings or the output of the layer before', 0)
  if (attention.x !== inner.skip) throw new Mismatch(inner.skip, 'a residual around the self-attention', 10)
  const layer: Layer = {
    attention,
    output: inner.dense,
    attentionResidual: inner.place,
    attentionNorm: middle,
    ...ffn,
    down: residual.dense,
    outputResidual: residual.place,
    outputNorm: norm,
  }
  checkWidths(layer, norm.x)
  return { ...before, layers: [...before.layers, layer] }
}

/** The LayerNorm in the middle of a layer ends none: its dense part reads merged heads. @throws Mismatch if it does not */
function middleOfLayer(dense: Linear): undefined {
  const { product } = matchMergedHeads(
    dense.x,
    3,
    'linear(activation(linear(x))) with GELU, ReLU, SiLU or tanh, or merged heads',
  )
  if (product.inputs.some((input) => input?.constant))
    throw new Mismatch(dense.x, 'a known activation (GELU, ReLU, SiLU, tanh)', 3)
}

/** Embeddings with a linear layer behind their LayerNorm. */
function projectedStage(value: Quantity, stages: ReadonlyMap<Quantity, Stage>): Stage | undefined {
  const projection = matchLinear(value)
  const before = projection && stages.get(projection.x)
  return before && !before.layers.length ? { ...before, projection } : undefined
}

/** dense + skip in either order; the skip is a LayerNorm's output, or projected embeddings. */
function splitResidual(x: Quantity): { dense: Linear; skip: Quantity; place: ResidualPlace } | undefined {
  const sum = skipRowViews(x)
  for (const [a, b] of operandOrders(maker(sum, 'Add'))) {
    const dense = matchLinear(a)
    const skip = skipRowViews(b)
    if (dense && !isStream(skipRowViews(a)) && isStream(skip)) return { dense, skip, place: { dense: a, skip: b, sum } }
  }
  return undefined
}

function isStream(value: Quantity): boolean {
  if (matchLayerNorm(value)) return true
  const projection = matchLinear(value)
  return projection !== undefined && matchLayerNorm(projection.x) !== undefined
}

function matchFeedForward(down: Linear): { up: Linear; activation: Activation } | undefined {
  const activated = matchActivation(down.x)
  const up = activated && matchLinear(activated.x)
  return up && { up, activation: activated.kind }
}

function checkWidths(layer: Layer, at: Quantity): void {
  const hidden = layer.attentionNorm.gamma.shape[0]
  const { query, key, value } = layer.attention
  const square = [query, key, value, layer.output]
  const fits =
    square.every(({ weight }) => weight.shape[0] === hidden && weight.shape[1] === hidden) &&
    layer.up.weight.shape[1] === hidden &&
    layer.down.weight.shape[0] === hidden &&
    layer.up.weight.shape[0] === layer.down.weight.shape[1] &&
    layer.outputNorm.gamma.shape[0] === hidden
  if (!fits) throw new Mismatch(at, `matrices that fit a layer of width ${hidden}`, 10)
}

/**
 * A product of two activations, the core of attention, that is in no lifted layer but in the way to an output: of a
 * layer that was not understood, before, behind or beside the encoder.
 */
function foreignAttention(canonical: Canonical, layers: readonly Layer[]): Operator | undefined {
  const own = new Set(layers.flatMap((layer) => layer.attention.products))
  const activations = new Set<Quantity>([canonical.roles.ids])
  const live = liveOperators(canonical)
  for (const value of activations) {
    for (const operator of value.consumers) for (const output of operator.outputs) if (output) activations.add(output)
  }
  return canonical.operators.find((operator) => {
    if (own.has(operator) || !live.has(operator)) return false
    const operands = operator.inputs.filter((input) => input && activations.has(input))
    return (['MatMul', 'Einsum'].includes(operator.type) && operands.length > 1) || /attention/i.test(operator.type)
  })
}

function liveOperators({ network, resolve }: Canonical): Set<Operator> {
  const live = new Set<Operator>()
  for (const output of network.outputs) {
    const { producer } = resolve(output)
    if (producer) live.add(producer)
  }
  for (const operator of live) for (const input of operator.inputs) if (input?.producer) live.add(input.producer)
  return live
}

/** Of all failures the one that came furthest, and among those the first. */
function tellingMiss(misses: readonly Mismatch[], { network, resolve }: Canonical, foreign?: Operator): Mismatch {
  const best = misses.reduce<Mismatch | undefined>((a, b) => (a && a.progress >= b.progress ? a : b), undefined)
  if (best) return best
  if (foreign) return new Mismatch(foreign.outputs[0], 'attention in the layers of one encoder only', 0)
  const [output] = network.outputs
  return new Mismatch(output && resolve(output), 'embeddings and transformer layers that end in a LayerNorm', 0)
}
