import { constants } from 'node:buffer'
import { open, readFile, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import protobuf from 'protobufjs/minimal.js'
import { OnnxImportError } from '../errors.js'
import { readRange, viewOf } from './bytes.js'
import { externalFiles, externalLocations, loadExternalData } from './external.js'
import { type Int64, type MessageSpec, type OnnxModel, type Scalar, modelSpec } from './schema.js'

/** Graphs nest in attributes (If, Loop); a file that nests deeper than this is not a model. */
const maxDepth = 64

export interface ParseOptions {
  /** Folder of the model file; external data is looked for in it and nowhere else. */
  readonly directory?: string
  /** Further folders that external data may lie in once links are followed (the model file's real folder). */
  readonly realDirectories?: readonly string[]
  /** For messages. */
  readonly file?: string
}

export interface ModelFile {
  readonly model: OnnxModel
  /** The file itself, of which tensors are views. */
  readonly bytes: Uint8Array
  /** The files of its external data, in the order of their names. */
  readonly external: readonly string[]
}

/**
 * Reads a model file and its external data. Tensors are views of the bytes read: nothing is copied.
 * @throws OnnxImportError ERR_ONNX_MISSING, ERR_ONNX_FORMAT, ERR_ONNX_EXTERNAL
 */
export async function readModel(path: string): Promise<OnnxModel> {
  return (await readModelFile(path)).model
}

/** As readModel, with what else there is to know of the files. */
export async function readModelFile(path: string): Promise<ModelFile> {
  const bytes = await readWhole(path)
  const directory = dirname(path)
  // A model cache may hold links to a blob folder: then the data file is a link to the same folder, and allowed.
  const realDirectories = [dirname(await realpath(path))]
  const model = decodeModel(bytes, path)
  const external = (await externalFiles(model, path)).map((each) => each.path)
  await loadExternalData(model, { directory, realDirectories, file: path })
  return { model, bytes, external }
}

/**
 * Parses the bytes of a model. Tensors stay views of `bytes`, which must not change afterwards.
 * @throws OnnxImportError ERR_ONNX_FORMAT, ERR_ONNX_EXTERNAL
 */
export async function parseModel(bytes: Uint8Array, options: ParseOptions = {}): Promise<OnnxModel> {
  const model = decodeModel(bytes, options.file)
  await loadExternalData(model, options)
  return model
}

/** As parseModel, but leaves external data where it is. */
export function decodeModel(bytes: Uint8Array, file?: string): OnnxModel {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const reader = protobuf.Reader.create(buffer)
  let model: OnnxModel
  try {
    model = decodeMessage(reader, modelSpec, buffer.length, 0) as unknown as OnnxModel
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw notOnnx(`${reason} (byte ${reader.pos} of ${buffer.length})`, file, reader.pos, cause)
  }
  if (!model.graph || !model.graph.node.length || !model.opsetImport.length)
    throw notOnnx('it holds no graph with nodes', file, buffer.length)
  return model
}

/** One message of a model by itself. @throws OnnxImportError ERR_ONNX_FORMAT */
export function decodePart(bytes: Uint8Array, spec: MessageSpec, file?: string): unknown {
  const reader = protobuf.Reader.create(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  try {
    return decodeMessage(reader, spec, bytes.byteLength, 0)
  } catch (cause) {
    throw notOnnx(`${spec.name}: ${(cause as Error).message}`, file, reader.pos, cause)
  }
}

/** The files that hold a model's tensors besides its own, as it names them; they need not be there. */
export async function readLocations(file: string): Promise<string[]> {
  return externalLocations(decodeModel(await readFile(file), file))
}

function notOnnx(reason: string, file: string | undefined, byte: number, cause?: unknown): OnnxImportError {
  const subject = file ? `"${file}"` : 'the input'
  const message = `${subject} is not an ONNX model, or not a whole one: ${reason}. Download or export the file again.`
  return new OnnxImportError('ERR_ONNX_FORMAT', message, { file, byte, expected: 'an ONNX model' }, { cause })
}

async function readWhole(path: string): Promise<Buffer> {
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'there is no such file' : cause.message
    throw new OnnxImportError(
      'ERR_ONNX_MISSING',
      `Cannot read the model "${path}": ${reason}.`,
      { file: path },
      { cause },
    )
  })
  try {
    const status = await handle.stat()
    if (!status.isFile()) {
      const message = `Cannot read the model "${path}": it is not a file. Name the .onnx file itself.`
      throw new OnnxImportError('ERR_ONNX_MISSING', message, { file: path })
    }
    // Protobuf ends at 2 GiB; larger models keep their tensors in other files.
    if (status.size >= Math.min(2 ** 31, constants.MAX_LENGTH))
      throw notOnnx(`${status.size} bytes are more than a protobuf file can have (2 GiB)`, path, 0)
    return await readRange(handle, 0, status.size)
  } finally {
    await handle.close()
  }
}

type Record_ = Record<string, unknown>

function decodeMessage(reader: protobuf.Reader, spec: MessageSpec, end: number, depth: number): Record_ {
  if (depth > maxDepth) throw new Error(`messages nest deeper than ${maxDepth}`)
  const message: Record_ = {}
  for (const name of spec.repeated) message[name] = []
  while (reader.pos < end) {
    const start = reader.pos
    const tag = reader.uint32()
    const field = spec.byNumber.get(tag >>> 3)
    const wire = tag & 7
    if (!field) {
      skip(reader, tag, end, depth)
      const chunks = (message.unknown ??= []) as Uint8Array[]
      chunks.push(reader.buf.subarray(start, reader.pos))
    } else if (typeof field.kind !== 'string') {
      expectWire(wire, 2, spec, field.name)
      const length = reader.uint32()
      const stop = reader.pos + length
      if (stop > end) throw new Error(`${spec.name}.${field.name} runs past its end`)
      const value = decodeMessage(reader, field.kind, stop, depth + 1)
      if (field.repeated) (message[field.name] as unknown[]).push(value)
      else message[field.name] = value
    } else if (field.repeated && wire === 2 && field.kind !== 'string' && field.kind !== 'bytes') {
      message[field.name] = decodePacked(reader, field.kind, end, message[field.name] as unknown[])
    } else {
      expectWire(wire, wireOf[field.kind], spec, field.name)
      const value = decodeScalar(reader, field.kind, end)
      if (field.repeated) message[field.name] = append(message[field.name] as ArrayLike<unknown>, value)
      else message[field.name] = value
    }
    if (reader.pos > end) throw new Error(`${spec.name} runs past its end`)
  }
  return message
}

const wireOf: Record<Scalar, number> = { int32: 0, int64: 0, uint64: 0, float: 5, double: 1, string: 2, bytes: 2 }

function expectWire(wire: number, expected: number, spec: MessageSpec, field: string): void {
  if (wire !== expected) throw new Error(`${spec.name}.${field} has wire type ${wire}, expected ${expected}`)
}

/** A packed record may be followed by single values; then the typed view becomes a plain list. */
function append(list: ArrayLike<unknown>, value: unknown): unknown[] {
  const plain = Array.isArray(list) ? (list as unknown[]) : Array.from(list)
  plain.push(value)
  return plain
}

function decodeScalar(reader: protobuf.Reader, kind: Scalar, end: number): unknown {
  switch (kind) {
    case 'int32':
      return reader.int32()
    case 'int64':
      return toInt64(reader.int64(), true)
    case 'uint64':
      return toInt64(reader.uint64(), false)
    case 'float':
      return reader.float()
    case 'double':
      return reader.double()
    case 'string':
      return reader.string()
    case 'bytes': {
      const length = reader.uint32()
      const start = reader.pos
      if (start + length > end) throw new Error(`${length} bytes are declared where ${end - start} are left`)
      reader.pos = start + length
      return reader.buf.subarray(start, start + length)
    }
    default:
      return kind satisfies never
  }
}

/** Packed numbers: floats and doubles as a view where aligned, integers as a list. */
function decodePacked(reader: protobuf.Reader, kind: Scalar, end: number, before: unknown[]): unknown {
  const length = reader.uint32()
  const start = reader.pos
  const stop = start + length
  if (stop > end) throw new Error(`${length} bytes are declared where ${end - start} are left`)
  if ((kind === 'float' || kind === 'double') && !before.length) {
    const width = kind === 'float' ? 4 : 8
    if (length % width) throw new Error(`${length} bytes of packed numbers of ${width} bytes each`)
    reader.pos = stop
    const bytes = reader.buf.subarray(start, stop)
    return kind === 'float' ? viewOf(bytes, Float32Array) : viewOf(bytes, Float64Array)
  }
  const list = append(before, 0)
  list.pop()
  while (reader.pos < stop) list.push(decodeScalar(reader, kind, stop))
  if (reader.pos > stop) throw new Error('packed numbers run past their end')
  return list
}

function toInt64(value: unknown, signed: boolean): Int64 {
  if (typeof value === 'number') return value
  const { low, high } = value as { low: number; high: number }
  const top = signed ? high | 0 : high >>> 0
  const number = top * 2 ** 32 + (low >>> 0)
  return Number.isSafeInteger(number) ? number : (BigInt(top) << 32n) | BigInt(low >>> 0)
}

function skip(reader: protobuf.Reader, tag: number, end: number, depth: number): void {
  if (tag >>> 3 === 0) throw new Error('a field has number 0')
  switch (tag & 7) {
    case 0:
      reader.skip()
      return
    case 1:
      reader.skip(8)
      return
    case 2:
      reader.skip(reader.uint32())
      return
    case 3: {
      if (depth > maxDepth) throw new Error(`groups nest deeper than ${maxDepth}`)
      while (reader.pos < end) {
        const inner = reader.uint32()
        if ((inner & 7) === 4) return
        skip(reader, inner, end, depth + 1)
      }
      throw new Error('a group has no end')
    }
    case 5:
      reader.skip(4)
      return
    default:
      throw new Error(`wire type ${tag & 7} does not exist`)
  }
}
