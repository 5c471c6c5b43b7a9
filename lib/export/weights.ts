/** Weights of the backbone that a run has trained, in the place of those in the file. */

import { ExportError } from '../errors.js'
import { floatToHalf } from '../formats/half.js'
import type { EncoderAnchors, WeightAnchor } from '../onnx/anchors.js'
import { DataType, type OnnxTensor } from '../onnx/schema.js'
import type { TensorSource } from '../onnx/stream.js'
import type { Tensor } from '../train/tensors.js'
import type { ModelEdit } from './edit.js'
import type { Tensors } from './target.js'

/** True for a tensor of the backbone other than those of LayerNorms, which have places of their own. */
export function isBackboneWeight(name: string): boolean {
  return !name.startsWith('head.') && !name.includes('.adapter.') && !name.includes('layer_norm.')
}

type Part = readonly [name: string, anchor: WeightAnchor]

/**
 * Exchanges the tensors of trained weights, each in the file's own layout and element type.
 * @throws ExportError ERR_EXPORT_UNSUPPORTED where layers that were trained apart share a tensor of the file, and for a
 * trained weight that has no place in it
 */
export function spliceWeights(edit: ModelEdit, { weights }: EncoderAnchors, tensors: Tensors): void {
  for (const name of tensors.keys()) if (isBackboneWeight(name) && !weights.has(name)) throw homeless(name)
  const groups = new Map<string, Part[]>()
  for (const [name, anchor] of weights) {
    if (!isBackboneWeight(name)) continue
    const group = groups.get(anchor.tensor)
    if (group) group.push([name, anchor])
    else groups.set(anchor.tensor, [[name, anchor]])
  }
  for (const [tensor, parts] of groups) {
    const trained = parts.filter(([name]) => tensors.has(name))
    if (trained.length === 0) continue
    const rows = trained.reduce((sum, [, { shape }]) => sum + shape[0]!, 0)
    const [, { rows: cut, shape }] = parts[0]!
    if (trained.length !== parts.length || rows !== (cut?.of ?? shape[0])) throw shared(tensor, parts)
    edit.replaceTensor(joined(tensorOf(edit, tensor), tensor, trained, tensors, rows))
  }
}

function homeless(name: string): ExportError {
  return new ExportError(
    'ERR_EXPORT_UNSUPPORTED',
    `the run has trained "${name}", for which the model file has no tensor`,
    { tensor: name, expected: 'a tensor of the file for each trained weight' },
  )
}

function shared(tensor: string, parts: readonly Part[]): ExportError {
  const names = parts.map(([name]) => name).join(', ')
  return new ExportError(
    'ERR_EXPORT_UNSUPPORTED',
    `the model file has one tensor, "${tensor}", for ${names}, which were trained apart: such a run cannot be exported yet`,
    { tensor, expected: 'a tensor for each trained weight' },
  )
}

/** The initializer or the value of a Constant node. */
function tensorOf(edit: ModelEdit, name: string): OnnxTensor {
  const initializer = edit.graph.initializer.find((tensor) => tensor.name === name)
  const found = initializer ?? edit.maker(name)?.node.attribute.find(({ t }) => t)?.t
  if (found) return found
  throw new ExportError('ERR_EXPORT_UNSUPPORTED', `the model file has no tensor "${name}"`, { tensor: name })
}

function joined(
  { dims, dataType = DataType.float }: OnnxTensor,
  name: string,
  parts: readonly Part[],
  tensors: Tensors,
  rows: number,
): TensorSource {
  const width = parts[0]![1].shape[1] ?? 1
  const bytes = rows * width * widthOf(dataType, name)
  return {
    name,
    dims: dims.map(Number),
    dataType,
    bytes,
    content: async function* () {
      const floats = new Float32Array(rows * width)
      for (const [part, anchor] of parts) place(floats, anchor, tensors.get(part)!, rows)
      yield await Promise.resolve(encodeFloats(floats, dataType, name))
    },
  }
}

/** Copies a parameter [out, in] to its rows, or its columns where the file holds [in, out]. */
function place(floats: Float32Array, anchor: WeightAnchor, { data }: Tensor, of: number): void {
  const [count = 0, width = 1] = anchor.shape
  const start = anchor.rows?.start ?? 0
  if (!anchor.transposed) {
    floats.set(data, start * width)
    return
  }
  for (let r = 0; r < count; r++) for (let k = 0; k < width; k++) floats[k * of + start + r] = data[r * width + k]!
}

function widthOf(dataType: number, name: string): number {
  const widths: Readonly<Record<number, number>> = {
    [DataType.float]: 4,
    [DataType.double]: 8,
    [DataType.float16]: 2,
    [DataType.bfloat16]: 2,
  }
  const width = widths[dataType]
  if (width !== undefined) return width
  throw new ExportError('ERR_EXPORT_UNSUPPORTED', `tensor "${name}" has element type ${dataType}, not floats`, {
    tensor: name,
    expected: 'floats',
  })
}

/** Rounded to the nearest value of the file's type. */
function encodeFloats(floats: Float32Array, dataType: number, name: string): Uint8Array {
  switch (dataType) {
    case DataType.float16:
      return bytesOf(Uint16Array.from(floats, floatToHalf))
    case DataType.double:
      return bytesOf(Float64Array.from(floats))
    case DataType.bfloat16: {
      const words = new Uint32Array(floats.buffer, floats.byteOffset, floats.length)
      return bytesOf(Uint16Array.from(words, (bits) => (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16))
    }
    default:
      widthOf(dataType, name)
      return bytesOf(floats)
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBufferLike>): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
