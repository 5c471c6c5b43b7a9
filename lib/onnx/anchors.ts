/** Where the parts of an imported encoder are in its file, for those who change that file: names, and no tensors. */

import type { Canonical } from './canonicalise.js'
import type { MaybeDim } from './dim.js'
import type { Encoder, ResidualPlace } from './fuse/encoder.js'
import type { LayerNorm } from './fuse/layer_norm.js'
import type { Linear } from './fuse/linear.js'
import type { Weight } from './fuse/weight.js'
import { shapeOf } from './known.js'
import type { Quantity } from './network.js'

/** A value of the file. Several may hold the same content, as behind Identity or Cast. */
export interface Alias {
  readonly name: string
  /** Element type, a number of DataType, where known. */
  readonly type?: number
  /** Number of axes, where known. */
  readonly rank?: number
}

export type Aliases = readonly Alias[]

export interface NormAnchor {
  readonly output: Aliases
  readonly gamma: Aliases
  readonly beta: Aliases
  /** Of a LayerNorm spelt out: normalised values times gamma. */
  readonly product?: Aliases
}

/** The end of a sub-layer: LayerNorm(dense + skip). A fused operator may keep dense and sum to itself. */
export interface SubLayerAnchor {
  readonly dense: Aliases
  readonly skip: Aliases
  readonly sum: Aliases
  readonly norm: NormAnchor
}

/** A tensor of the file that a parameter is, or is a part of. */
export interface WeightAnchor {
  /** The initializer, or the output of a Constant node. */
  readonly tensor: string
  /** Of the parameter, linear matrices as [out, in]. */
  readonly shape: readonly number[]
  /** The tensor holds [in, out]. */
  readonly transposed: boolean
  /** The parameter is these rows of [of] that the tensor has. */
  readonly rows?: { readonly start: number; readonly of: number }
}

export interface EncoderAnchors {
  readonly embeddingNorm: NormAnchor
  readonly layers: readonly { readonly attention: SubLayerAnchor; readonly ffn: SubLayerAnchor }[]
  readonly hidden: Aliases
  /** tanh(dense(first token)) */
  readonly pooler?: Aliases
  /** By public name of the parameter; biases that the file lacks are absent. */
  readonly weights: ReadonlyMap<string, WeightAnchor>
}

/** @param encoder as it was found in the network */
export function anchorEncoder(canonical: Canonical, encoder: Encoder): EncoderAnchors {
  const aliases = collectAliases(canonical)
  const of = (value: Quantity): Aliases => (aliases.get(value) ?? [value]).map(describe)
  const norm = ({ place }: LayerNorm): NormAnchor => ({
    output: of(place.y),
    gamma: of(place.scale),
    beta: of(place.shift),
    ...(place.product ? { product: of(place.product) } : {}),
  })
  const end = ({ dense, skip, sum }: ResidualPlace, after: LayerNorm): SubLayerAnchor => ({
    dense: of(dense),
    skip: of(skip),
    sum: of(sum),
    norm: norm(after),
  })
  return {
    embeddingNorm: norm(encoder.embeddingNorm),
    layers: encoder.layers.map((layer) => ({
      attention: end(layer.attentionResidual, layer.attentionNorm),
      ffn: end(layer.outputResidual, layer.outputNorm),
    })),
    hidden: of(encoder.hidden),
    ...(encoder.pooler ? { pooler: of(encoder.pooler.y) } : {}),
    weights: new Map(weightsOf(encoder).map(([name, weight]) => [name, anchorWeight(weight)])),
  }
}

/** All values of the file by the one that stands for them. */
function collectAliases({ network, resolve }: Canonical): Map<Quantity, Quantity[]> {
  const aliases = new Map<Quantity, Quantity[]>()
  for (const value of network.names.values()) {
    const kept = resolve(value)
    const list = aliases.get(kept)
    if (list) list.push(value)
    else aliases.set(kept, [value])
  }
  return aliases
}

function describe(value: Quantity): Alias {
  const shape: readonly MaybeDim[] | undefined = shapeOf(value)
  return {
    name: value.name,
    ...(value.type === undefined ? {} : { type: value.type }),
    ...(shape ? { rank: shape.length } : {}),
  }
}

function anchorWeight({ name, shape, transposed, rows }: Weight): WeightAnchor {
  return { tensor: name, shape, transposed, ...(rows ? { rows } : {}) }
}

function weightsOf({ embedding, embeddingNorm, projection, layers, pooler }: Encoder): [string, Weight][] {
  const found: [string, Weight][] = []
  const linear = (name: string, { weight, bias }: Linear) => {
    found.push([`${name}.weight`, weight])
    if (bias) found.push([`${name}.bias`, bias])
  }
  const norm = (name: string, { gamma, beta }: LayerNorm) => {
    found.push([`${name}.layer_norm.weight`, gamma], [`${name}.layer_norm.bias`, beta])
  }
  found.push(['embeddings.word.weight', embedding.word], ['embeddings.position.weight', embedding.position])
  if (embedding.tokenType) found.push(['embeddings.token_type.weight', embedding.tokenType])
  norm('embeddings', embeddingNorm)
  if (projection) linear('embeddings.projection', projection)
  for (const [i, layer] of layers.entries()) {
    const { query, key, value } = layer.attention
    for (const [part, each] of Object.entries({ query, key, value, output: layer.output }))
      linear(`layer.${i}.attention.${part}`, each)
    norm(`layer.${i}.attention`, layer.attentionNorm)
    linear(`layer.${i}.ffn.up`, layer.up)
    linear(`layer.${i}.ffn.down`, layer.down)
    norm(`layer.${i}.ffn`, layer.outputNorm)
  }
  if (pooler) linear('pooler', pooler)
  return found
}
