import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import protobuf from 'protobufjs/minimal.js'
import { OnnxImportError } from '../errors.js'
import { writeAt, writeAtomicWith } from '../formats/atomic.js'
import { type MessageSpec, modelSpec, type OnnxModel, type OnnxTensor, tensorSpec } from './schema.js'
import { plainTensor } from './tensor.js'
import { alignment, encodeMessage, maxBytes } from './write.js'

/** A tensor whose bytes are made while the file is written, so that a model of any size needs little memory. */
export interface TensorSource {
  readonly name: string
  readonly dims: readonly number[]
  /** A number of DataType. */
  readonly dataType: number
  /** Length of the content. */
  readonly bytes: number
  /** The content in order, in parts of any length; may be asked for once. */
  readonly content: () => AsyncIterable<Uint8Array>
}

export interface StreamOptions {
  /** Models of more bytes keep their tensors in a second file, `<model file>_data`. @default 2 GiB - 1 */
  readonly largestFile?: number
}

/** Smaller tensors stay in the model file. */
const externalFrom = 1024

/**
 * Writes a model whose initializers are the given tensors besides those it holds, and that is known to be of a certain
 * length before its content is: lengths come first in a protobuf file. Files are written as `writeModel` does.
 * @throws OnnxImportError ERR_ONNX_FORMAT where a tensor gives more or fewer bytes than it said; RunError ERR_RUN_WRITE
 */
export async function writeModelStream(
  model: OnnxModel,
  tensors: readonly TensorSource[],
  path: string,
  options: StreamOptions = {},
): Promise<void> {
  const { largestFile = maxBytes } = options
  const whole = new Layout(model, tensors)
  if (whole.bytes <= largestFile) {
    await writeAtomicWith(path, (handle) => whole.write(handle))
    return
  }
  const location = `${basename(path)}_data`
  const small = tensors.filter(({ bytes }) => bytes < externalFrom)
  const moved: OnnxTensor[] = []
  await writeAtomicWith(join(dirname(path), location), async (handle) => {
    let end = 0
    for (const tensor of tensors.filter(({ bytes }) => bytes >= externalFrom)) {
      const offset = Math.ceil(end / alignment) * alignment
      end = await writeContent(handle, tensor, offset)
      moved.push(externalTensor(tensor, location, offset))
    }
  })
  const graph = { ...model.graph!, initializer: [...model.graph!.initializer, ...moved] }
  const rest = new Layout({ ...model, graph }, small)
  await writeAtomicWith(path, (handle) => rest.write(handle))
}

function externalTensor({ name, dims, dataType, bytes }: TensorSource, location: string, offset: number): OnnxTensor {
  const values = { location, offset: String(offset), length: String(bytes) }
  const externalData = Object.entries(values).map(([key, value]) => ({ key, value }))
  return plainTensor(dataType, dims, { name, externalData, dataLocation: 1 })
}

const graphField = [...modelSpec.byNumber.values()].find(({ name }) => name === 'graph')!
const graphSpec = graphField.kind as MessageSpec
const initializerNumber = [...graphSpec.byNumber.values()].find(({ name }) => name === 'initializer')!.number
const rawDataNumber = [...tensorSpec.byNumber.values()].find(({ name }) => name === 'rawData')!.number

/** The file in pieces: everything but the contents of tensors, encoded, and where those come. */
class Layout {
  /** Of the whole file. */
  readonly bytes: number
  readonly #head: Uint8Array
  readonly #tensors: readonly { readonly head: Uint8Array; readonly tensor: TensorSource }[]

  constructor({ graph, ...rest }: OnnxModel, tensors: readonly TensorSource[]) {
    this.#tensors = tensors.map((tensor) => ({ head: encodeTensorHead(tensor), tensor }))
    const inGraph = encode(graphSpec, graph!)
    const length = this.#tensors.reduce((sum, { head, tensor }) => sum + head.length + tensor.bytes, inGraph.length)
    const outside = encode(modelSpec, rest)
    this.#head = Buffer.concat([outside, encodeTag(graphField.number, length), inGraph])
    this.bytes = outside.length + encodeTag(graphField.number, length).length + length
  }

  async write(handle: FileHandle): Promise<void> {
    await writeAt(handle, this.#head)
    let end = this.#head.length
    for (const { head, tensor } of this.#tensors) {
      await writeAt(handle, head, end)
      end = await writeContent(handle, tensor, end + head.length)
    }
  }
}

/** An initializer record up to where its content begins. */
export function encodeTensorHead({ name, dims, dataType, bytes }: TensorSource): Uint8Array {
  const fields = encode(tensorSpec, plainTensor(dataType, dims, { name }))
  const content = encodeTag(rawDataNumber, bytes)
  const record = encodeTag(initializerNumber, fields.length + content.length + bytes)
  return Buffer.concat([record, fields, content])
}

/** Tag and length of a field with content of its own length. */
export function encodeTag(field: number, length: number): Uint8Array {
  return protobuf.Writer.create()
    .uint32((field << 3) | 2)
    .uint64(length)
    .finish()
}

/** A message without tag and length. */
export function encode(spec: MessageSpec, message: object): Uint8Array {
  const writer = protobuf.Writer.create()
  encodeMessage(writer, spec, message as Record<string, unknown>)
  return writer.finish()
}

/** Writes a tensor's content. @returns where it ends */
export async function writeContent(handle: FileHandle, tensor: TensorSource, position: number): Promise<number> {
  let end = position
  for await (const part of tensor.content()) {
    await writeAt(handle, part, end)
    end += part.byteLength
  }
  if (end - position !== tensor.bytes) {
    const message = `Tensor "${tensor.name}" gave ${end - position} bytes, not the ${tensor.bytes} it was said to have.`
    throw new OnnxImportError('ERR_ONNX_FORMAT', message, { tensor: tensor.name, expected: tensor.bytes })
  }
  return end
}
