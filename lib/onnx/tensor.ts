import { OnnxImportError } from '../errors.js'
import { halfToFloat } from '../formats/half.js'
import { viewOf } from './bytes.js'
import { DataType, type Int64, type OnnxTensor } from './schema.js'

/** What tensors hold once read; `float16` are the bits of half floats. */
export type TensorData = Float32Array | Float64Array | Uint16Array | Int32Array | BigInt64Array | Uint8Array | Int8Array

const widths: Record<number, number> = {
  [DataType.float]: 4,
  [DataType.uint8]: 1,
  [DataType.int8]: 1,
  [DataType.uint16]: 2,
  [DataType.int16]: 2,
  [DataType.int32]: 4,
  [DataType.int64]: 8,
  [DataType.bool]: 1,
  [DataType.float16]: 2,
  [DataType.double]: 8,
  [DataType.uint32]: 4,
  [DataType.uint64]: 8,
  [DataType.bfloat16]: 2,
}

/** Bytes of an element; element types without whole bytes count as one byte each. */
export function widthOf(dataType: number): number {
  return widths[dataType] ?? 1
}

function formatError(tensor: OnnxTensor, reason: string, expected: string): OnnxImportError {
  const message = `Tensor "${tensor.name ?? ''}" is not valid: ${reason}. Expected ${expected}.`
  return new OnnxImportError('ERR_ONNX_FORMAT', message, { tensor: tensor.name, expected })
}

/** A tensor from its parts; absent ones are empty. */
export function plainTensor(dataType: number, dims: readonly Int64[], data: Partial<OnnxTensor>): OnnxTensor {
  const empty = { floatData: [], int32Data: [], stringData: [], int64Data: [], doubleData: [], uint64Data: [] }
  return { ...empty, dims: [...dims], dataType, externalData: [], ...data }
}

/** Shape as plain numbers. @throws OnnxImportError ERR_ONNX_FORMAT for negative or absurd sizes */
export function tensorShape(tensor: OnnxTensor): number[] {
  let size = 1
  const shape = tensor.dims.map((dim) => {
    const number = Number(dim)
    size *= number
    if (!Number.isSafeInteger(number) || number < 0 || !Number.isSafeInteger(size))
      throw formatError(
        tensor,
        `its shape is [${tensor.dims.join(', ')}]`,
        'sizes from 0 on, of a product that fits memory',
      )
    return number
  })
  return shape
}

export function elementCount(tensor: OnnxTensor): number {
  return tensorShape(tensor).reduce((product, dim) => product * dim, 1)
}

/** Bytes that the shape and element type ask for. Element types without whole bytes count as one byte each. */
export function byteLength(tensor: OnnxTensor): number {
  return elementCount(tensor) * (widths[tensor.dataType ?? 0] ?? 1)
}

/**
 * The elements of a tensor in any of the layouts that the format knows, as a view wherever the bytes allow it.
 * @throws OnnxImportError ERR_ONNX_FORMAT where there are more or fewer than the shape asks for
 */
export function tensorData(tensor: OnnxTensor): TensorData {
  const count = elementCount(tensor)
  const data = tensor.rawData ? fromRaw(tensor, tensor.rawData) : fromFields(tensor)
  if (data.length !== count)
    throw formatError(tensor, `it holds ${data.length} elements`, `${count} for its shape [${tensor.dims.join(', ')}]`)
  return data
}

function fromRaw(tensor: OnnxTensor, raw: Uint8Array): TensorData {
  const width = widths[tensor.dataType ?? 0]
  if (width !== undefined && raw.byteLength !== width * elementCount(tensor))
    throw formatError(
      tensor,
      `it holds ${raw.byteLength} bytes`,
      `${byteLength(tensor)} for its shape [${tensor.dims.join(', ')}]`,
    )
  switch (tensor.dataType) {
    case DataType.float:
      return viewOf(raw, Float32Array)
    case DataType.double:
      return viewOf(raw, Float64Array)
    case DataType.float16:
    case DataType.uint16:
      return viewOf(raw, Uint16Array)
    case DataType.bfloat16:
      return bfloat16ToFloat32(viewOf(raw, Uint16Array))
    case DataType.int16:
      return Int32Array.from(viewOf(raw, Int16Array))
    case DataType.int32:
    case DataType.uint32:
      return viewOf(raw, Int32Array)
    case DataType.int64:
    case DataType.uint64:
      return viewOf(raw, BigInt64Array)
    case DataType.int8:
      return viewOf(raw, Int8Array)
    case DataType.uint8:
    case DataType.bool:
      return raw
    default:
      throw formatError(tensor, `its element type is ${tensor.dataType ?? 'not given'}`, 'numbers')
  }
}

function fromFields(tensor: OnnxTensor): TensorData {
  switch (tensor.dataType) {
    case DataType.float:
      return tensor.floatData instanceof Float32Array ? tensor.floatData : Float32Array.from(tensor.floatData)
    case DataType.double:
      return tensor.doubleData instanceof Float64Array ? tensor.doubleData : Float64Array.from(tensor.doubleData)
    case DataType.float16:
    case DataType.uint16:
      return Uint16Array.from(tensor.int32Data)
    case DataType.bfloat16:
      return bfloat16ToFloat32(Uint16Array.from(tensor.int32Data))
    case DataType.int16:
    case DataType.int32:
      return Int32Array.from(tensor.int32Data)
    case DataType.int64:
      return BigInt64Array.from(tensor.int64Data, (value) => BigInt(value))
    case DataType.uint32:
      return Int32Array.from(tensor.uint64Data, (value) => Number(value) | 0)
    case DataType.uint64:
      return BigInt64Array.from(tensor.uint64Data, (value) => BigInt.asIntN(64, BigInt(value)))
    case DataType.int8:
      return Int8Array.from(tensor.int32Data)
    case DataType.uint8:
    case DataType.bool:
      return Uint8Array.from(tensor.int32Data)
    default:
      throw formatError(tensor, `its element type is ${tensor.dataType ?? 'not given'}`, 'numbers')
  }
}

/**
 * Elements as plain numbers, for the small tensors that shapes and scalars are made of. Integers beyond 2^53 lose
 * precision: only "end of the axis" is ever that large.
 */
export function tensorNumbers(tensor: OnnxTensor): number[] {
  const data = tensorData(tensor)
  if (tensor.dataType === DataType.float16) return Array.from(data as Uint16Array, halfToFloat)
  return Array.from(data as ArrayLike<number | bigint>, Number)
}

/** Weights as the engine takes them: float32, or the bits of half floats. Doubles are rounded to float32. */
export function tensorFloats(tensor: OnnxTensor): Float32Array | Uint16Array {
  const data = tensorData(tensor)
  switch (tensor.dataType) {
    case DataType.float:
    case DataType.float16:
    case DataType.bfloat16:
      return data as Float32Array | Uint16Array
    case DataType.double:
      return Float32Array.from(data as Float64Array)
    default:
      throw formatError(tensor, `its element type is ${tensor.dataType ?? 'not given'}`, 'float32 or float16 weights')
  }
}

function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16
  return new Float32Array(words.buffer)
}

/** Index of the first NaN or infinity, or -1. Looks at exponent bits: one pass over the words, no conversion. */
export function firstNotFinite(data: Float32Array | Uint16Array): number {
  if (data instanceof Uint16Array) return data.findIndex((bits) => (bits & 0x7c00) === 0x7c00)
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length)
  for (let i = 0; i < words.length; i++) if ((words[i]! & 0x7f800000) === 0x7f800000) return i
  return -1
}
