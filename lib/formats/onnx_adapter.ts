/**
 * `.onnx_adapter` files of ONNX Runtime: named tensors that a session takes as inputs. They are FlatBuffers of its schema
 * of adapters (onnxruntime/lora/adapter_format), format version 1; content of tensors begins at multiples of 8.
 */

import { readFile } from 'node:fs/promises'
import { ExportError } from '../errors.js'
import { writeAtomic } from './atomic.js'

export interface AdapterTensor {
  readonly shape: readonly number[]
  /** float32, or int64 */
  readonly data: Float32Array | BigInt64Array
}

export type AdapterTensors = ReadonlyMap<string, AdapterTensor>

const identifier = 'TORT'
const formatVersion = 1
/** Element types by the numbers of ONNX. */
const float = 1
const int64 = 7

/**
 * Writes tensors under the names of the inputs that they are for.
 * @throws RunError ERR_RUN_WRITE
 */
export async function writeOnnxAdapter(file: string, tensors: AdapterTensors): Promise<void> {
  await writeAtomic(file, encodeOnnxAdapter(tensors))
}

/** @throws ExportError ERR_EXPORT_FILE for what is no such file, or damaged */
export async function readOnnxAdapter(file: string): Promise<Map<string, AdapterTensor>> {
  return decodeOnnxAdapter(await readFile(file), file)
}

/** Tables of four fields of four bytes each: where their fields are, and the offset to that list. */
const tableBytes = 20
const vtable = [12, tableBytes, 4, 8, 12, 16]

/** Written from the front, so that every offset leads forward. */
export function encodeOnnxAdapter(tensors: AdapterTensors): Uint8Array {
  const entries = [...tensors].map(([name, tensor]) => ({ name: Buffer.from(name), ...tensor }))
  // Offset of the root, identifier, the list of fields, root table, its vector of tables, the tables.
  const [rootAt, fieldsAt] = [20, 8]
  const vectorAt = rootAt + tableBytes
  const tablesAt = vectorAt + 4 + 4 * entries.length
  let end = tablesAt + tableBytes * entries.length
  /** Place for a length and elements of which the first is at a multiple of 8. */
  const reserve = (bytes: number, multiple: number) => {
    const at = Math.ceil((end + 4) / multiple) * multiple - 4
    end = at + 4 + bytes
    return at
  }
  const places = entries.map(({ name, shape, data }) => ({
    name: reserve(name.length + 1, 4),
    dims: reserve(8 * shape.length, 8),
    data: reserve(data.byteLength, 8),
  }))
  const bytes = Buffer.alloc(Math.ceil(end / 8) * 8)
  const link = (at: number, target: number) => bytes.writeUInt32LE(target - at, at)
  link(0, rootAt)
  bytes.write(identifier, 4, 'latin1')
  for (const [i, value] of vtable.entries()) bytes.writeUInt16LE(value, fieldsAt + 2 * i)
  bytes.writeInt32LE(rootAt - fieldsAt, rootAt)
  for (const [i, value] of [formatVersion, 1, 1].entries()) bytes.writeInt32LE(value, rootAt + 4 + 4 * i)
  link(rootAt + 16, vectorAt)
  bytes.writeUInt32LE(entries.length, vectorAt)
  for (const [i, { name, shape, data }] of entries.entries()) {
    const table = tablesAt + tableBytes * i
    const place = places[i]!
    link(vectorAt + 4 + 4 * i, table)
    bytes.writeInt32LE(table - fieldsAt, table)
    link(table + 4, place.name)
    link(table + 8, place.dims)
    bytes.writeInt32LE(data instanceof Float32Array ? float : int64, table + 12)
    link(table + 16, place.data)
    bytes.writeUInt32LE(name.length, place.name)
    name.copy(bytes, place.name + 4)
    bytes.writeUInt32LE(shape.length, place.dims)
    for (const [axis, size] of shape.entries()) bytes.writeBigInt64LE(BigInt(size), place.dims + 4 + 8 * axis)
    bytes.writeUInt32LE(data.byteLength, place.data)
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), place.data + 4)
  }
  return bytes
}

/** @throws ExportError ERR_EXPORT_FILE */
export function decodeOnnxAdapter(content: Uint8Array, file: string): Map<string, AdapterTensor> {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  try {
    return decode(bytes)
  } catch (cause) {
    const reason = (cause as Error).message
    const message = `${file}: not an .onnx_adapter file of version ${formatVersion}, or damaged: ${reason}`
    throw new ExportError('ERR_EXPORT_FILE', message, { file, expected: 'an .onnx_adapter file' }, { cause })
  }
}

/** Reads beyond the end throw, and names, shapes and contents have bytes of their own: the file bounds what is made. */
function decode(bytes: Buffer): Map<string, AdapterTensor> {
  if (bytes.toString('latin1', 4, 8) !== identifier) throw new Error(`it does not say "${identifier}"`)
  const follow = (at: number) => at + bytes.readUInt32LE(at)
  /** Where a field of a table is; undefined where it has its default. */
  const field = (table: number, index: number): number | undefined => {
    const fields = table - bytes.readInt32LE(table)
    if (4 + 2 * index >= bytes.readUInt16LE(fields)) return undefined
    const offset = bytes.readUInt16LE(fields + 4 + 2 * index)
    return offset === 0 ? undefined : table + offset
  }
  const vector = (at: number | undefined, width: number) => {
    if (at === undefined) return { start: 0, length: 0 }
    const place = follow(at)
    const length = bytes.readUInt32LE(place)
    if (place + 4 + length * width > bytes.length) throw new Error(`a list of ${length} runs past its end`)
    return { start: place + 4, length }
  }
  const root = follow(0)
  const version = field(root, 0)
  if (version === undefined || bytes.readInt32LE(version) !== formatVersion) throw new Error('it is of another version')
  const tables = vector(field(root, 3), 4)
  const tensors = new Map<string, AdapterTensor>()
  let total = 0
  for (let i = 0; i < tables.length; i++) {
    const table = follow(tables.start + 4 * i)
    const text = vector(field(table, 0), 1)
    const dims = vector(field(table, 1), 8)
    const raw = vector(field(table, 3), 1)
    total += text.length + 8 * dims.length + raw.length
    if (total > bytes.length) throw new Error(`tensor ${i} stands on another's place`)
    const name = bytes.toString('utf8', text.start, text.start + text.length)
    if (tensors.has(name)) throw new Error(`two tensors are called "${name}"`)
    const shape = Array.from({ length: dims.length }, (_, axis) => Number(bytes.readBigInt64LE(dims.start + 8 * axis)))
    const typeAt = field(table, 2)
    tensors.set(name, {
      shape,
      data: decodeData(bytes, raw, shape, typeAt === undefined ? 0 : bytes.readInt32LE(typeAt)),
    })
  }
  return tensors
}

function decodeData(
  bytes: Buffer,
  { start, length }: { start: number; length: number },
  shape: readonly number[],
  type: number,
): Float32Array | BigInt64Array {
  if (type !== float && type !== int64) throw new Error(`a tensor has element type ${type}, expected float32 or int64`)
  const count = shape.reduce((product, size) => product * size, 1)
  if (shape.some((size) => size < 0) || count * (type === float ? 4 : 8) !== length)
    throw new Error(`a tensor of shape [${shape.join(', ')}] has ${length} bytes`)
  const copy = new Uint8Array(length)
  copy.set(bytes.subarray(start, start + length))
  return type === float ? new Float32Array(copy.buffer) : new BigInt64Array(copy.buffer)
}
