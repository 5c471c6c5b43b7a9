/**
 * Reader and writer of safetensors files: eight bytes with the length of a JSON header, the header, the tensors' bytes.
 *
 * The reader trusts nothing: the header is limited in length, names may not repeat, every tensor must lie inside the
 * file, have the size that its shape and type ask for, overlap no other, and leave no byte unused.
 */

import { readFile } from 'node:fs/promises'
import { RunError } from '../errors.js'
import { writeAtomic } from './atomic.js'
import { halfToFloat } from './half.js'

/** Bytes an element takes, of the types that files in the wild carry. */
const elementBytes = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 } as const
export type TensorType = keyof typeof elementBytes

export interface StoredTensor {
  readonly type: TensorType
  readonly shape: readonly number[]
  /** Little endian, row after row; a view of the file's bytes. */
  readonly bytes: Uint8Array
}

export interface Tensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly metadata: Readonly<Record<string, string>>
}

export interface FloatTensor {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** As in the reference implementation. */
const longestHeader = 100_000_000

interface HeaderEntry {
  readonly dtype: TensorType
  readonly shape: readonly number[]
  readonly data_offsets: readonly [number, number]
}

/** @throws RunError ERR_RUN_FILE */
export async function readSafetensors(file: string): Promise<Tensors> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new RunError('ERR_RUN_FILE', `${file}: cannot be read: ${(cause as Error).message}`, { file }, { cause })
  })
  return decodeSafetensors(bytes, file)
}

/**
 * @param file its name, for messages
 * @throws RunError ERR_RUN_FILE where the bytes are not, or not wholly, a safetensors file
 */
export function decodeSafetensors(bytes: Uint8Array, file: string): Tensors {
  const start = contentStart(bytes, bytes.length, file)
  const { places, metadata } = decodeHeader(bytes.subarray(8, start), bytes.length - start, file)
  const content = bytes.subarray(start)
  const tensors = new Map<string, StoredTensor>()
  for (const [name, { type, shape, first, last }] of places)
    tensors.set(name, { type, shape, bytes: content.subarray(first, last) })
  return { tensors, metadata }
}

/** Where a tensor lies, in bytes from the end of the header. */
export interface TensorPlace {
  readonly type: TensorType
  readonly shape: readonly number[]
  readonly first: number
  readonly last: number
}

/**
 * The byte at which the header ends and the tensors begin.
 * @param head the first eight bytes of the file, or more
 * @throws RunError ERR_RUN_FILE
 */
export function contentStart(head: Uint8Array, fileBytes: number, file: string): number {
  if (head.length < 8) throw wrongFile(file, `${head.length} bytes, at least 8 are needed`)
  const length = Number(new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true))
  if (length > longestHeader) throw wrongFile(file, `a header of ${length} bytes, the limit is ${longestHeader}`)
  if (8 + length > fileBytes) throw wrongFile(file, `a header of ${length} bytes in a file of ${fileBytes}`)
  return 8 + length
}

/**
 * Reads the JSON of the header and checks it against the size of what follows.
 * @throws RunError ERR_RUN_FILE
 */
export function decodeHeader(
  header: Uint8Array,
  contentBytes: number,
  file: string,
): { readonly places: ReadonlyMap<string, TensorPlace>; readonly metadata: Readonly<Record<string, string>> } {
  const wrong = (what: string, details: object = {}) => wrongFile(file, what, details)
  const { entries: named, metadata } = parseHeader(header, wrong)
  const places = new Map<string, TensorPlace>()
  let end = 0
  const entries = Object.entries(named)
  entries.sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1])
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [first, last],
    },
  ] of entries) {
    const size = shape.reduce((product, n) => product * n, elementBytes[dtype])
    if (last - first !== size)
      throw wrong(`tensor "${name}" has ${last - first} bytes, its shape asks for ${size}`, { tensor: name })
    if (first !== end)
      throw wrong(`tensor "${name}" starts at byte ${first}, expected ${end}: no gaps, no overlaps`, { tensor: name })
    if (last > contentBytes) throw wrong(`tensor "${name}" ends at byte ${last} of ${contentBytes}`, { tensor: name })
    places.set(name, { type: dtype, shape, first, last })
    end = last
  }
  if (end !== contentBytes) throw wrong(`${contentBytes - end} bytes belong to no tensor`)
  return { places, metadata }
}

function wrongFile(file: string, what: string, details: object = {}): RunError {
  return new RunError('ERR_RUN_FILE', `${file}: not a safetensors file: ${what}`, { file, ...details })
}

function parseHeader(bytes: Uint8Array, wrong: (what: string, details?: object) => RunError) {
  let parsed: unknown
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw wrong(`its header is not JSON (${(cause as Error).message})`)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw wrong('its header is not a JSON object')
  const entries: Record<string, HeaderEntry> = Object.create(null) as Record<string, HeaderEntry>
  let metadata: Record<string, string> = {}
  for (const [name, value] of Object.entries(parsed as Record<string, unknown>)) {
    if (name === '__metadata__') {
      if (!isTextRecord(value)) throw wrong('its metadata is not an object of strings')
      metadata = value
    } else if (isHeaderEntry(value)) entries[name] = value
    else throw wrong(`the entry of tensor "${name}" lacks a known dtype, a shape or offsets`, { tensor: name })
  }
  return { entries, metadata }
}

function isTextRecord(value: unknown): value is Record<string, string> {
  return typeof value === 'object' && value !== null && Object.values(value).every((text) => typeof text === 'string')
}

function isHeaderEntry(value: unknown): value is HeaderEntry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Partial<Record<keyof HeaderEntry, unknown>>
  const isCount = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0
  return (
    typeof dtype === 'string' &&
    Object.hasOwn(elementBytes, dtype) &&
    Array.isArray(shape) &&
    shape.every(isCount) &&
    Array.isArray(offsets) &&
    offsets.length === 2 &&
    offsets.every(isCount) &&
    offsets[0] <= offsets[1]
  )
}

/**
 * The values of a tensor as 32-bit floats (a copy); half floats are widened.
 * @throws RunError ERR_RUN_FILE for types that are not floats of at most 32 bits
 */
export function toFloats(name: string, { type, bytes }: StoredTensor): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  switch (type) {
    case 'F32':
      // A copied buffer starts at an aligned address, which a view of the file need not.
      return new Float32Array(Uint8Array.from(bytes).buffer)
    case 'F16': {
      const values = new Float32Array(bytes.length / 2)
      for (let i = 0; i < values.length; i++) values[i] = halfToFloat(view.getUint16(2 * i, true))
      return values
    }
    case 'BF16': {
      const bits = new Uint32Array(bytes.length / 2)
      for (let i = 0; i < bits.length; i++) bits[i] = view.getUint16(2 * i, true) << 16
      return new Float32Array(bits.buffer)
    }
    default:
      throw new RunError('ERR_RUN_FILE', `tensor "${name}" is ${type}, expected F32, F16 or BF16`, {
        tensor: name,
        found: type,
      })
  }
}

/** The parts of a file of 32-bit floats, in the order of the map. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, FloatTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const header: Record<string, unknown> = {}
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata
  let offset = 0
  for (const [name, { shape, data }] of tensors) {
    const elements = shape.reduce((product, n) => product * n, 1)
    if (elements !== data.length) {
      throw new RunError('ERR_RUN_FILE', `tensor "${name}" of shape [${shape.join(', ')}] has ${data.length} values`, {
        tensor: name,
      })
    }
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] }
    offset += data.byteLength
  }
  let text = JSON.stringify(header)
  // Spaces after the JSON keep the tensors aligned to eight bytes.
  while ((Buffer.byteLength(text) & 7) !== 0) text += ' '
  const head = Buffer.alloc(8 + Buffer.byteLength(text))
  head.writeBigUInt64LE(BigInt(head.length - 8))
  head.write(text, 8)
  const values = [...tensors.values()].map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return [head, ...values]
}

/** Writes 32-bit floats; see writeAtomic. */
export async function writeSafetensors(
  file: string,
  tensors: ReadonlyMap<string, FloatTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeAtomic(file, ...encodeSafetensors(tensors, metadata))
}
