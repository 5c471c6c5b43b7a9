/** Makes nodes of standard operators, spelt as the file's operator set has them. */

import { AttributeType, DataType, type OnnxAttribute, type OnnxNode } from '../onnx/schema.js'
import type { ModelEdit } from './edit.js'

type Attribute = number | readonly number[] | string

/** Adds nodes to a list of an edit; each method returns the name of its result. */
export class NodeMaker {
  /** @param prefix of the names of nodes and values */
  constructor(
    readonly edit: ModelEdit,
    private readonly list: OnnxNode[],
    private readonly prefix: string,
  ) {}

  /** @param output name of the result; made up where it is not given */
  add(
    opType: string,
    input: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    output?: string,
  ): string {
    const name = this.edit.fresh(`${this.prefix}/${opType}`)
    const result = output ?? this.edit.fresh(`${this.prefix}/${opType}_output`)
    const attribute = Object.entries(attributes).map(([key, value]) => attributeOf(key, value))
    this.list.push({ opType, name, input: [...input], output: [result], attribute })
    return result
  }

  /** A value for all elements, of a float type. */
  scalar(value: number, type: number = DataType.float): string {
    return this.cast(constant(this.edit, DataType.float, [], [value]), DataType.float, type)
  }

  /** A vector of one value, of a float type. */
  filled(value: number, size: number, type: number = DataType.float): string {
    const values = new Array<number>(size).fill(value)
    return this.cast(constant(this.edit, DataType.float, [size], values), DataType.float, type)
  }

  integers(values: readonly number[], dims: readonly number[] = [values.length]): string {
    return constant(this.edit, DataType.int64, dims, values)
  }

  cast(x: string, from: number, to: number): string {
    return from === to ? x : this.add('Cast', [x], { to })
  }

  reshape(x: string, dims: readonly number[]): string {
    return this.add('Reshape', [x, this.integers(dims)])
  }

  /** Sum over one axis, which stays with size 1. Axes are an input since version 13. */
  reduceSum(x: string, axis: number): string {
    if (this.edit.opset < 13) return this.add('ReduceSum', [x], { axes: [axis], keepdims: 1 })
    return this.add('ReduceSum', [x, this.integers([axis])], { keepdims: 1 })
  }

  /** Mean over one axis, which goes. Axes are an input since version 18. */
  reduceMean(x: string, axis: number): string {
    if (this.edit.opset < 18) return this.add('ReduceMean', [x], { axes: [axis], keepdims: 0 })
    return this.add('ReduceMean', [x, this.integers([axis])], { keepdims: 0 })
  }
}

function attributeOf(name: string, value: Attribute): OnnxAttribute {
  const empty = { name, floats: [], ints: [], strings: [] }
  if (typeof value === 'number') return { ...empty, i: value, type: AttributeType.int }
  if (typeof value === 'string') return { ...empty, s: Buffer.from(value), type: AttributeType.string }
  return { ...empty, ints: [...value], type: AttributeType.ints }
}

const constants = new WeakMap<ModelEdit, Map<string, string>>()

/** A small initializer; the same one for the same content. */
function constant(edit: ModelEdit, dataType: number, dims: readonly number[], values: readonly number[]): string {
  const known = constants.get(edit) ?? new Map<string, string>()
  constants.set(edit, known)
  const key = `${dataType} [${dims.join()}] ${values.join()}`
  const before = known.get(key)
  if (before !== undefined) return before
  const name = edit.fresh(`adapters/constant_${known.size}`)
  known.set(key, name)
  const data = dataType === DataType.int64 ? BigInt64Array.from(values, BigInt) : Float32Array.from(values)
  edit.addTensor(bytesTensor(name, dataType, dims, data))
  return name
}

/** A tensor of content that is at hand. */
export function bytesTensor(
  name: string,
  dataType: number,
  dims: readonly number[],
  data: Float32Array | BigInt64Array | Uint16Array,
) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return { name, dataType, dims, bytes: bytes.length, content: () => once(bytes) }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes)
}
