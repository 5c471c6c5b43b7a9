import { basename, dirname, join } from 'node:path'
import protobuf from 'protobufjs/minimal.js'
import { OnnxImportError } from '../errors.js'
import { writeAt, writeAtomic, writeAtomicWith } from '../formats/atomic.js'
import { allTensors } from './external.js'
import { type Int64, type MessageSpec, type OnnxModel, type OnnxTensor, type Scalar, modelSpec } from './schema.js'

export interface WriteOptions {
  /**
   * Puts tensors into a second file beside the model. `true` names it `<model file>_data`.
   * @default false
   */
  readonly external?: boolean | { readonly location?: string; /** Bytes. @default 1024 */ readonly threshold?: number }
}

/** Protobuf's own limit for one message. */
export const maxBytes = 2 ** 31 - 1
/** Start of each external tensor: a page, so that readers may map it. */
export const alignment = 4096

/** The model as the bytes of a file. @throws OnnxImportError ERR_ONNX_FORMAT above 2 GiB */
export function encodeModel(model: OnnxModel): Uint8Array {
  const size = allTensors(model).reduce((sum, tensor) => sum + (tensor.rawData?.byteLength ?? 0), 0)
  if (size > maxBytes) {
    const message = `The model holds ${size} bytes of tensors; one file can hold 2 GiB. Write it with external data.`
    throw new OnnxImportError('ERR_ONNX_FORMAT', message, { bytes: size, expected: `at most ${maxBytes} bytes` })
  }
  const writer = protobuf.Writer.create()
  encodeMessage(writer, modelSpec, model as unknown as Record<string, unknown>)
  return writer.finish()
}

/**
 * Writes a model file, and its external data where asked for: to temporary names, flushed, then renamed, the data
 * before the model that names it. A crash leaves the old files or the new ones.
 * @throws RunError ERR_RUN_WRITE
 */
export async function writeModel(model: OnnxModel, path: string, options: WriteOptions = {}): Promise<void> {
  const { external = false } = options
  if (!external) {
    await writeAtomic(path, encodeModel(model))
    return
  }
  const { location = `${basename(path)}_data`, threshold = 1024 } = external === true ? {} : external
  const moved = new Map<OnnxTensor, { offset: number; length: number }>()
  await writeAtomicWith(join(dirname(path), location), async (handle) => {
    let end = 0
    for (const tensor of allTensors(model)) {
      const bytes = tensor.rawData
      if (!bytes || bytes.byteLength < threshold) continue
      const offset = Math.ceil(end / alignment) * alignment
      await writeAt(handle, bytes, offset)
      end = offset + bytes.byteLength
      moved.set(tensor, { offset, length: bytes.byteLength })
    }
  })
  const outside = replaceTensors(model, (tensor) => {
    const place = moved.get(tensor)
    if (!place) return tensor
    const { rawData: _, ...rest } = tensor
    const values = { location, offset: String(place.offset), length: String(place.length) }
    const externalData = Object.entries(values).map(([key, value]) => ({ key, value }))
    return { ...rest, externalData, dataLocation: 1 }
  })
  await writeAtomic(path, encodeModel(outside))
}

/** A copy of the message tree in which tensors are exchanged; the bytes of tensors are shared. */
function replaceTensors(model: OnnxModel, exchange: (tensor: OnnxTensor) => OnnxTensor): OnnxModel {
  const walk = (value: unknown, spec: MessageSpec): unknown => {
    const source = value as Record<string, unknown>
    const message: Record<string, unknown> = { ...source }
    for (const field of spec.byNumber.values()) {
      const { kind } = field
      if (typeof kind === 'string' || source[field.name] === undefined) continue
      const convert = (item: unknown) => (kind.name === 'Tensor' ? exchange(item as OnnxTensor) : walk(item, kind))
      message[field.name] = field.repeated
        ? (source[field.name] as unknown[]).map(convert)
        : convert(source[field.name])
    }
    return message
  }
  return walk(model, modelSpec) as OnnxModel
}

const wireOf: Record<Scalar, number> = { int32: 0, int64: 0, uint64: 0, float: 5, double: 1, string: 2, bytes: 2 }

/** Appends a message's fields, in the order of its table. */
export function encodeMessage(writer: protobuf.Writer, spec: MessageSpec, message: Record<string, unknown>): void {
  for (const field of spec.byNumber.values()) {
    const value = message[field.name]
    if (value === undefined) continue
    const values = field.repeated ? (value as ArrayLike<unknown>) : [value]
    const { kind } = field
    if (typeof kind !== 'string') {
      for (const item of Array.from(values)) {
        writer.uint32((field.number << 3) | 2).fork()
        encodeMessage(writer, kind, item as Record<string, unknown>)
        writer.ldelim()
      }
    } else if (field.packed && values.length) {
      writer.uint32((field.number << 3) | 2).fork()
      for (let i = 0; i < values.length; i++) encodeScalar(writer, kind, values[i])
      writer.ldelim()
    } else {
      for (const item of Array.from(values)) {
        writer.uint32((field.number << 3) | wireOf[kind])
        encodeScalar(writer, kind, item)
      }
    }
  }
  // Whole records, tags included: they go back as they came.
  for (const chunk of (message.unknown as Uint8Array[] | undefined) ?? []) writer.raw(chunk)
}

function encodeScalar(writer: protobuf.Writer, kind: Scalar, value: unknown): void {
  switch (kind) {
    case 'int32':
      writer.int32(value as number)
      return
    case 'int64':
    case 'uint64':
      writer.uint64(longOf(value as Int64))
      return
    case 'float':
      writer.float(value as number)
      return
    case 'double':
      writer.double(value as number)
      return
    case 'string':
      writer.string(value as string)
      return
    case 'bytes':
      writer.bytes(value as Uint8Array)
      return
    default:
      kind satisfies never
  }
}

/** Two's complement halves, as protobufjs takes 64-bit numbers. */
function longOf(value: Int64): protobuf.Long {
  const bits = BigInt.asUintN(64, BigInt(value))
  const low = Number(bits & 0xffffffffn) | 0
  const high = Number(bits >> 32n) | 0
  return { low, high, unsigned: true } as protobuf.Long
}
