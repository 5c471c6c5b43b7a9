/** A small BERT encoder built by hand, as the importer would give it: for tests of passes that need no model file. */
import { Backbone } from '../../lib/backbone/backbone.js'
import { buildBert, shapes, type ContentOf, type BertShape } from '../../lib/bench/encoder.js'
import type { ImportedEncoder } from '../../lib/onnx/import.js'
import type { EncoderSource } from '../../lib/train/compile.js'

export type { ContentOf }
export type TinyShape = BertShape

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
export const miniLmShape: TinyShape = shapes.minilm

/** Without content: for passes that look at names and shapes alone. */
export const noContent: ContentOf = () => new Float32Array(0)

export function tinyEncoder(
  shape: TinyShape = tinyShape,
  contentOf: ContentOf = noContent,
  epsilon = 1e-12,
): EncoderSource {
  return buildBert(shape, contentOf, epsilon)
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
  const imported = {
    ...tinyEncoder(shape, someContent),
    config: { ...shape, parameters: 0 },
  } as unknown as ImportedEncoder
  return new Backbone({ name: 'tiny', file: 'tiny.onnx', sha256: '', imported, loadTokenizer: absent, verify: absent })
}
