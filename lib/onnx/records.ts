/**
 * A model file as its protobuf records: what is kept is copied byte by byte, unknown fields and all, and the contents of
 * large tensors are not even read.
 */

import { closeSync, openSync, readSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { OnnxImportError } from '../errors.js'
import { readRange } from './bytes.js'
import { decodePart } from './read.js'
import { type FieldSpec, type MessageSpec, modelSpec, type OnnxModel, type OnnxTensor, tensorSpec } from './schema.js'

/** One field of a message in the file, tag and length included. */
export interface FileRecord {
  readonly field: number
  readonly start: number
  readonly end: number
  /** Decoded, where its field is known; large contents of tensors are read when they are asked for. */
  readonly message?: unknown
}

export interface ModelRecords {
  readonly file: string
  /** Fields of the model besides its graph: those before it and those behind. */
  readonly before: readonly FileRecord[]
  readonly after: readonly FileRecord[]
  /** Fields of the graph, in the order of the file. */
  readonly graph: readonly FileRecord[]
  /** All of it decoded; large contents of tensors are read when they are asked for. */
  readonly model: OnnxModel
}

const fieldOf = (spec: MessageSpec, name: string): FieldSpec =>
  [...spec.byNumber.values()].find((field) => field.name === name)!

const graphField = fieldOf(modelSpec, 'graph')
export const graphSpec = graphField.kind as MessageSpec
export const graphNumber = graphField.number
export const fieldNumber = (name: 'node' | 'initializer' | 'input' | 'output' | 'valueInfo'): number =>
  fieldOf(graphSpec, name).number

const rawDataNumber = fieldOf(tensorSpec, 'rawData').number

/** Contents of more bytes are not read: tables of positions are read, weights of any real model are not. */
const largest = 2 ** 17

/** Fields of a whole file: each becomes an object much larger than itself may be. Real models have some thousands. */
const mostFields = 500_000

/** Reads the structure of a model file. @throws OnnxImportError ERR_ONNX_MISSING, ERR_ONNX_FORMAT */
export async function readRecords(file: string): Promise<ModelRecords> {
  const handle = await open(file, 'r').catch((cause: Error) => {
    const message = `Cannot read the model "${file}": ${cause.message}.`
    throw new OnnxImportError('ERR_ONNX_MISSING', message, { file }, { cause })
  })
  try {
    const { size } = await handle.stat()
    const walker = new Walker(handle, file)
    const outer = await walker.fields(0, size)
    const at = outer.findIndex(({ field }) => field === graphNumber)
    if (at < 0 || outer.findLastIndex(({ field }) => field === graphNumber) !== at)
      throw walker.broken('it holds no graph, or several')
    const [before, after] = [outer.slice(0, at), outer.slice(at + 1)]
    const graph = await walker.messages(graphSpec, outer[at]!.content, outer[at]!.end)
    const rest = await walker.messages(modelSpec, 0, size, (record) => record.field !== graphNumber)
    const model = { ...assemble(modelSpec, rest), graph: assemble(graphSpec, graph) } as unknown as OnnxModel
    return { file, before, after, graph, model }
  } finally {
    await handle.close()
  }
}

/** The message whose fields these are. */
function assemble(spec: MessageSpec, records: readonly FileRecord[]): Record<string, unknown> {
  const message: Record<string, unknown> = Object.fromEntries(spec.repeated.map((name) => [name, []]))
  for (const { message: value, field } of records) {
    const known = spec.byNumber.get(field)
    if (!known) continue
    if (known.repeated) (message[known.name] as unknown[]).push(value)
    else message[known.name] = value
  }
  return message
}

interface Field extends FileRecord {
  readonly wire: number
  /** Where what the tag (and length) announces begins. */
  readonly content: number
}

/** Follows the fields of messages in a file, reading as little as it can. */
class Walker {
  #window: Buffer = Buffer.alloc(0)
  #at = 0
  #fields = 0

  constructor(
    private readonly handle: FileHandle,
    private readonly file: string,
  ) {}

  broken(reason: string): OnnxImportError {
    const message = `"${this.file}" is not an ONNX model, or not a whole one: ${reason}.`
    return new OnnxImportError('ERR_ONNX_FORMAT', message, { file: this.file, expected: 'an ONNX model' })
  }

  async fields(start: number, end: number): Promise<Field[]> {
    const found: Field[] = []
    for (let at = start; at < end;) {
      if (++this.#fields > mostFields) throw this.broken(`it has more than ${mostFields} fields`)
      const field = await this.#field(at, end)
      found.push(field)
      at = field.end
    }
    return found
  }

  /** The fields of a message, decoded. */
  async messages(
    spec: MessageSpec,
    start: number,
    end: number,
    wanted: (field: Field) => boolean = () => true,
  ): Promise<FileRecord[]> {
    const records: FileRecord[] = []
    for (const field of (await this.fields(start, end)).filter(wanted)) {
      const known = spec.byNumber.get(field.field)
      const { field: number, start: from, end: to } = field
      records.push({ field: number, start: from, end: to, message: known && (await this.#decode(spec, known, field)) })
    }
    return records
  }

  async #decode(spec: MessageSpec, known: FieldSpec, field: Field): Promise<unknown> {
    const { kind, name, repeated } = known
    if (typeof kind === 'string') {
      const message = decodePart(await this.#read(field.start, field.end), spec, this.file) as Record<string, unknown>
      return repeated ? (message[name] as unknown[])[0] : message[name]
    }
    const { content, end } = field
    if (kind !== tensorSpec || end - content <= largest)
      return decodePart(await this.#read(content, end), kind, this.file)
    const inner = await this.fields(content, end)
    const large = inner.find((each) => each.field === rawDataNumber && each.end - each.content > largest)
    const parts: Buffer[] = []
    for (const each of inner) if (each !== large) parts.push(await this.#read(each.start, each.end))
    const tensor = decodePart(Buffer.concat(parts), kind, this.file) as OnnxTensor
    return large ? this.#unread(tensor, large) : tensor
  }

  /** A tensor whose content is read each time that it is asked for, and kept nowhere. */
  async #unread(tensor: OnnxTensor, { content, end }: Field): Promise<OnnxTensor> {
    const { file } = this
    const start = Buffer.from(await this.#read(content, content + startBytes))
    return Object.defineProperty({ ...tensor, start }, 'rawData', {
      get: () => readNow(file, content, end - content),
      enumerable: true,
    })
  }

  /** Parts of the window are views of it: windows are replaced, never refilled. */
  async #read(start: number, end: number): Promise<Buffer> {
    if (start < this.#at || end > this.#at + this.#window.length) {
      const length = Math.max(end - start, windowSize)
      this.#window = await readRange(this.handle, start, length)
      this.#at = start
    }
    return this.#window.subarray(start - this.#at, end - this.#at)
  }

  async #field(start: number, end: number): Promise<Field> {
    // A tag and a length are of at most ten bytes each.
    const head = await this.#read(start, Math.min(start + 20, end))
    const tag = this.#varint(head, 0)
    const [field, wire] = [Math.floor(tag.value / 8), tag.value % 8]
    let content = start + tag.next
    let stop = content
    if (wire === 0) stop = start + this.#varint(head, tag.next).next
    else if (wire === 1) stop += 8
    else if (wire === 5) stop += 4
    else if (wire === 2) {
      const length = this.#varint(head, tag.next)
      content = start + length.next
      stop = content + length.value
    } else throw this.broken(`wire type ${wire} at byte ${start}`)
    if (field === 0 || stop > end) throw this.broken(`a field at byte ${start} runs past its end`)
    return { field, wire, start, content, end: stop }
  }

  #varint(bytes: Buffer, from: number): { value: number; next: number } {
    let value = 0
    for (let i = from; i < Math.min(bytes.length, from + 10); i++) {
      const byte = bytes[i]!
      value += (byte & 0x7f) * 2 ** (7 * (i - from))
      if (byte < 0x80) return { value, next: i + 1 }
    }
    throw this.broken('a number has no end')
  }
}

const windowSize = 2 ** 18
/** A few elements of any type. */
const startBytes = 32

function readNow(file: string, position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  const handle = openSync(file, 'r')
  try {
    for (let done = 0; done < length;) {
      const count = readSync(handle, bytes, done, length - done, position + done)
      if (count === 0) throw new Error(`${file} became shorter while it was read`)
      done += count
    }
  } finally {
    closeSync(handle)
  }
  return bytes
}
