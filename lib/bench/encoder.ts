/** A BERT encoder built by hand, as the importer would give one: for measuring and testing where there is no model. */
import { inputs, type Node, type TensorPart, type Value } from '../ir/graph.js'
import { add } from '../ops/add.js'
import { attention } from '../ops/attention.js'
import { makeNode } from '../ops/define.js'
import { embedding } from '../ops/embedding.js'
import { layerNorm } from '../ops/layer_norm.js'
import { linear } from '../ops/linear.js'
import type { EncoderSource } from '../train/compile.js'

export interface BertShape {
  readonly layers: number
  /** Width C. */
  readonly hidden: number
  readonly heads: number
  /** Width F. */
  readonly feedForward: number
  readonly vocabulary: number
  /** Longest row, tokens. */
  readonly positions: number
  /** Rows of the token type table. */
  readonly tokenTypes: number
  readonly pooler: boolean
}

const bert = { vocabulary: 30522, positions: 512, tokenTypes: 2, pooler: true }

/** Sizes of published encoders. */
export const shapes = {
  minilm: { layers: 6, hidden: 384, heads: 12, feedForward: 1536, ...bert },
  'bert-base': { layers: 12, hidden: 768, heads: 12, feedForward: 3072, ...bert },
  'bert-large': { layers: 24, hidden: 1024, heads: 16, feedForward: 4096, ...bert },
} as const satisfies Record<string, BertShape>

export type ShapeName = keyof typeof shapes

/** Gives the content of a tensor by its public name and number of elements. */
export type ContentOf = (name: string, size: number) => Float32Array

/** A post-LayerNorm BERT of this shape. */
export function buildBert(shape: BertShape, contentOf: ContentOf, epsilon = 1e-12): EncoderSource {
  const { layers, hidden: C, heads, feedForward: F } = shape
  const nodes: Node[] = []
  const append = (node: Node): Value => {
    nodes.push(node)
    return node.outputs.y!
  }
  const part = (name: string, size: readonly number[]): TensorPart => ({
    name,
    shape: size,
    transposed: false,
    data: contentOf(
      name,
      size.reduce((n, d) => n * d, 1),
    ),
  })
  const joined = (name: string, parts: readonly TensorPart[]): Value => {
    const rows = parts.reduce((sum, { shape: [n = 0] }) => sum + n, 0)
    return { name, dtype: 'f32', storage: 'frozen', shape: [rows, ...parts[0]!.shape.slice(1)], parts }
  }
  const frozen = (name: string, ...size: number[]): Value => joined(name, [part(name, size)])
  const dense = (name: string, x: Value, columns: number, rows: number, act = 'none'): Value =>
    append(
      makeNode(
        linear,
        name,
        { x, w: frozen(`${name}.weight`, rows, columns), b: frozen(`${name}.bias`, rows) },
        { activation: act },
      ),
    )
  const norm = (name: string, x: Value): Value =>
    append(
      makeNode(
        layerNorm,
        name,
        { x, gamma: frozen(`${name}.weight`, C), beta: frozen(`${name}.bias`, C) },
        { epsilon },
      ),
    )
  const sum = (name: string, a: Value, b: Value): Value => append(makeNode(add, name, { a, b }))
  const triple = (layer: string, kind: string, ...size: number[]): Value =>
    joined(
      `${layer}.attention.qkv.${kind}`,
      ['query', 'key', 'value'].map((each) => part(`${layer}.attention.${each}.${kind}`, size)),
    )

  let x = append(
    makeNode(
      embedding,
      'embeddings',
      {
        ...inputs,
        word: frozen('embeddings.word.weight', shape.vocabulary, C),
        position: frozen('embeddings.position.weight', shape.positions, C),
        token_type: frozen('embeddings.token_type.weight', shape.tokenTypes, C),
      },
      { position_offset: 0 },
    ),
  )
  x = norm('embeddings.layer_norm', x)
  for (let i = 0; i < layers; i++) {
    const layer = `layer.${i}`
    const qkv = append(
      makeNode(
        linear,
        `${layer}.attention.qkv`,
        {
          x,
          w: triple(layer, 'weight', C, C),
          b: triple(layer, 'bias', C),
        },
        { activation: 'none' },
      ),
    )
    const context = append(
      makeNode(
        attention,
        `${layer}.attention`,
        { qkv, cu: inputs.cu },
        {
          heads,
          scale: 1 / Math.sqrt(C / heads),
          dropout: 0,
          rng: 0,
          max_length: shape.positions,
        },
      ),
    )
    x = norm(
      `${layer}.attention.layer_norm`,
      sum(`${layer}.attention.residual`, dense(`${layer}.attention.output`, context, C, C), x),
    )
    const up = dense(`${layer}.ffn.up`, x, C, F, 'gelu')
    x = norm(`${layer}.ffn.layer_norm`, sum(`${layer}.ffn.residual`, dense(`${layer}.ffn.down`, up, F, C), x))
  }
  return {
    graph: { nodes, outputs: { hidden: x } },
    pooler: shape.pooler ? { weight: frozen('pooler.weight', C, C), bias: frozen('pooler.bias', C) } : undefined,
  }
}
