/** Rows of generated ids on which an exported model is compared with the engine. */

import { philox } from '../adapters/philox.js'
import type { ImportedEncoder } from '../onnx/import.js'
import { DataType, type OnnxGraph } from '../onnx/schema.js'
import { encoderLimits } from '../train/batch.js'
import type { Feed } from './check_child.js'

export interface CheckRow {
  readonly ids: readonly number[]
  readonly types: readonly number[]
}

/** Rows that go into the model together, padded to one length. */
export interface CheckBatch {
  readonly rows: readonly CheckRow[]
  readonly length: number
}

/** Rows of different lengths; of one length where the file takes no mask. */
export function makeBatches(encoder: ImportedEncoder): CheckBatch[] {
  const { inputNames, fixedShape, graph } = encoder
  const { positions } = encoderLimits(graph)
  const masked = inputNames.mask !== undefined
  const lengths = [9, 2, 31, 64].map((length) => Math.min(length, fixedShape?.[1] ?? positions))
  if (fixedShape) {
    const [size, length] = fixedShape
    const rows = Array.from({ length: size }, (_, i) =>
      makeRow(encoder, masked ? lengths[i % lengths.length]! : length, i),
    )
    return [{ rows, length }]
  }
  const rows = lengths.map((length, i) => makeRow(encoder, length, i))
  if (masked) return [{ rows, length: Math.max(...lengths) }]
  return rows.map((row) => ({ rows: [row], length: row.ids.length }))
}

/** The second half is of the second type. */
function makeRow({ graph }: ImportedEncoder, length: number, row: number): CheckRow {
  const { vocabulary, tokenTypes } = encoderLimits(graph)
  // Low ids hold the padding token, which files may treat apart, and which no unpadded row has.
  const lowest = Math.min(4, vocabulary - 1)
  return {
    ids: Array.from({ length }, (_, i) => lowest + (philox([i, row, 1, 0], [0, 0])[0] % (vocabulary - lowest))),
    types: Array.from({ length }, (_, i) => (tokenTypes > 1 && i >= length / 2 ? 1 : 0)),
  }
}

/** The inputs of the backbone's own graph for a batch. */
export function feedsOf(batch: CheckBatch, { inputNames, config }: ImportedEncoder, graph: OnnxGraph) {
  const { rows, length } = batch
  const tensors = new Set(graph.initializer.map(({ name }) => name))
  const feeds: Record<string, Feed> = {}
  for (const { name = '', type } of graph.input) {
    if (tensors.has(name)) continue
    const values = rows.flatMap(({ ids, types }) => {
      const [list, rest] =
        name === inputNames.ids
          ? [ids, config.pad ?? 0]
          : name === inputNames.types
            ? [types, 0]
            : [ids.map(() => 1), name === inputNames.mask ? 0 : 1]
      return Array.from({ length }, (_, i) => list[i] ?? rest)
    })
    feeds[name] = feedOf(values, [rows.length, length], type?.tensorType?.elemType)
  }
  return feeds
}

function feedOf(values: readonly number[], dims: readonly number[], elemType = DataType.int64 as number): Feed {
  if (elemType === DataType.int32) return { type: 'int32', dims, data: Int32Array.from(values) }
  if (elemType === DataType.float) return { type: 'float32', dims, data: Float32Array.from(values) }
  return { type: 'int64', dims, data: BigInt64Array.from(values, BigInt) }
}
