import { AttributeType, DataType, type OnnxAttribute, type OnnxModel, type OnnxNode } from '../../onnx/schema.js'
import type { TensorSource } from '../../onnx/stream.js'
import { plainTensor } from '../../onnx/tensor.js'
import type { OnnxTensor } from '../../onnx/schema.js'
import type { Weight } from './weights.js'

/** Attributes of a node: whole numbers, lists of them, and floats marked as such. */
export type Attributes = Readonly<Record<string, number | readonly number[] | { readonly float: number }>>

/** Builds an ONNX graph node by node. Every method returns the name of the value it made. */
export class OnnxBuilder {
  readonly #nodes: OnnxNode[] = []
  readonly #constants = new Map<string, OnnxTensor>()
  readonly #weights = new Map<string, TensorSource>()

  /** @param name of the value and of its node */
  node(type: string, name: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const attribute = Object.entries(attributes).map(([key, value]) => makeAttribute(key, value))
    this.#nodes.push({ opType: type, name: `${name}/${type}`, input: [...inputs], output: [name], attribute })
    return name
  }

  /** A small constant; the same numbers under the same name are stored once. */
  constant(name: string, type: 'float' | 'int64', dims: readonly number[], values: readonly number[]): string {
    const data = type === 'float' ? Float32Array.from(values) : BigInt64Array.from(values, BigInt)
    this.#constants.set(name, plainTensor(DataType[type], dims, { name, rawData: new Uint8Array(data.buffer) }))
    return name
  }

  /** A tensor of the weights as it is. */
  weight({ name, shape, floats }: Weight): string {
    this.#weights.set(
      name,
      source(name, shape, () => asBytes(floats())),
    )
    return name
  }

  /** A matrix of the weights [rows, columns] as [columns, rows]. */
  transposed({ name, shape, floats }: Weight): string {
    const turned = `${name}.transposed`
    const [rows = 0, columns = 0] = shape
    this.#weights.set(
      turned,
      source(turned, [columns, rows], () => transpose(floats(), rows, columns)),
    )
    return turned
  }

  /** The model without its weights, and the weights to be written with it. */
  model(inputs: readonly string[], outputs: Readonly<Record<string, readonly (string | number)[]>>) {
    const info = (name: string, elemType: number, dims: readonly (string | number)[]) => {
      const dim = dims.map((size) => (typeof size === 'string' ? { dimParam: size } : { dimValue: size }))
      return { name, type: { tensorType: { elemType, shape: { dim } } } }
    }
    const read = new Set(this.#nodes.flatMap(({ input }) => input))
    const model: OnnxModel = {
      irVersion: 8,
      // Without a version: the same weights shall give the same bytes from any release, since runs name their sha256.
      producerName: 'onnx-adapters',
      opsetImport: [{ domain: '', version: 17 }],
      metadataProps: [],
      functions: [],
      graph: {
        name: 'encoder',
        node: this.#nodes,
        initializer: [...this.#constants.values()].filter(({ name = '' }) => read.has(name)),
        input: inputs.map((name) => info(name, DataType.int64, ['batch', 'sequence'])),
        output: Object.entries(outputs).map(([name, dims]) => info(name, DataType.float, dims)),
        valueInfo: [],
      },
    }
    return { model, weights: [...this.#weights.values()] }
  }
}

function makeAttribute(name: string, value: Attributes[string]): OnnxAttribute {
  const empty = { name, floats: [], ints: [], strings: [] }
  if (typeof value === 'number') return { ...empty, i: value, type: AttributeType.int }
  if ('float' in value) return { ...empty, f: value.float, type: AttributeType.float }
  return { ...empty, ints: [...value], type: AttributeType.ints }
}

function source(name: string, dims: readonly number[], content: TensorSource['content']): TensorSource {
  return { name, dims, dataType: DataType.float, bytes: 4 * dims.reduce((product, n) => product * n, 1), content }
}

async function* asBytes(parts: AsyncIterable<Float32Array>): AsyncGenerator<Uint8Array> {
  for await (const part of parts) yield new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
}

/** One matrix of a layer is in memory at a time; the large tables are not transposed. */
async function* transpose(
  parts: AsyncIterable<Float32Array>,
  rows: number,
  columns: number,
): AsyncGenerator<Uint8Array> {
  const result = new Float32Array(rows * columns)
  let row = 0
  let column = 0
  for await (const part of parts) {
    for (const value of part) {
      result[column * rows + row] = value
      if (++column === columns) {
        column = 0
        row++
      }
    }
  }
  yield new Uint8Array(result.buffer)
}
