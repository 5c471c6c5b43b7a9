/** A small BERT encoder built by hand, as the importer would give it: for tests of passes that need no model file. */
import { Backbone } from '../../lib/backbone/backbone.js'
import type { ImportedEncoder } from '../../lib/onnx/import.js'
import type { EncoderSource } from '../../lib/train/compile.js'
import { inputs, type Node, type TensorPart, type Value } from '../../lib/ir/graph.js'
import { add } from '../../lib/ops/add.js'
import { attention } from '../../lib/ops/attention.js'
import { makeNode } from '../../lib/ops/define.js'
import { embedding } from '../../lib/ops/embedding.js'
import { layerNorm } from '../../lib/ops/layer_norm.js'
import { linear } from '../../lib/ops/linear.js'

export interface TinyShape {
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly feedForward: number
  readonly vocabulary: number
  readonly positions: number
  /** Rows of the token type table. */
  readonly tokenTypes: number
  readonly pooler: boolean
}

export const tinyShape: TinyShape = {
  layers: 2,
  hidden: 64,
  heads: 4,
  feedForward: 128,
  vocabulary: 1000,
  positions: 128,
  tokenTypes: 2,
  pooler: true,
}

/** all-MiniLM-L6-v2's sizes. */
export const miniLmShape: TinyShape = {
  layers: 6,
  hidden: 384,
  heads: 12,
  feedForward: 1536,
  vocabulary: 30522,
  positions: 512,
  tokenTypes: 2,
  pooler: true,
}

/** Gives the content of a tensor by its public name; zeros-length content will do where nothing is run. */
export type ContentOf = (name: string, size: number) => Float32Array

/** Without content: for passes that look at names and shapes alone. */
export const noContent: ContentOf = () => new Float32Array(0)

export function tinyEncoder(
  shape: TinyShape = tinyShape,
  contentOf: ContentOf = noContent,
  epsilon = 1e-12,
): EncoderSource {
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

/** Reproducible content: matrices of small numbers, LayerNorm scales about 1. */
export const someContent: ContentOf = (name, size) =>
  Float32Array.from(
    { length: size },
    (_, i) => Math.sin(i * 12.9898 + name.length * 78.233) * 0.1 + (name.endsWith('layer_norm.weight') ? 1 : 0),
  )

/** A backbone around a tiny encoder, with content but without files. */
export function tinyBackbone(
  shape: TinyShape = { ...tinyShape, hidden: 16, feedForward: 32, vocabulary: 50, positions: 400 },
): Backbone {
  const absent = () => Promise.reject(new Error('a tiny backbone has no files'))
  const imported = tinyEncoder(shape, someContent) as unknown as ImportedEncoder
  return new Backbone({ name: 'tiny', file: 'tiny.onnx', sha256: '', imported, loadTokenizer: absent, verify: absent })
}
