/** Small ONNX models made in memory: a BERT of random weights in basic operators, with its variations. */
import {
  AttributeType,
  DataType,
  type OnnxAttribute,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
} from '../../lib/onnx/schema.js'
import { plainTensor } from '../../lib/onnx/tensor.js'

export type Attributes = Readonly<Record<string, number | readonly number[] | string | OnnxTensor | FloatAttribute>>

/** Numbers are integers in the file unless wrapped. */
export interface FloatAttribute {
  readonly float: number
}

const emptyAttribute = { floats: [], ints: [], strings: [] }

function attribute(name: string, value: Attributes[string]): OnnxAttribute {
  if (typeof value === 'number') return { ...emptyAttribute, name, i: value, type: AttributeType.int }
  if (typeof value === 'string') return { ...emptyAttribute, name, s: Buffer.from(value), type: AttributeType.string }
  if (Array.isArray(value)) return { ...emptyAttribute, name, ints: value as number[], type: AttributeType.ints }
  if ('float' in value) return { ...emptyAttribute, name, f: value.float, type: AttributeType.float }
  return { ...emptyAttribute, name, t: value as OnnxTensor, type: AttributeType.tensor }
}

export function onnxNode(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: Attributes = {},
  domain = '',
): OnnxNode {
  const list = Object.entries(attributes).map(([name, value]) => attribute(name, value))
  return {
    opType,
    name: `${opType}_${output[0] ?? ''}`,
    input: [...input],
    output: [...output],
    attribute: list,
    domain,
  }
}

export function floats(dims: readonly number[], values: readonly number[]): OnnxTensor {
  return plainTensor(DataType.float, dims, { rawData: new Uint8Array(Float32Array.from(values).buffer) })
}

export function integers(dims: readonly number[], values: readonly number[]): OnnxTensor {
  return plainTensor(DataType.int64, dims, { rawData: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) })
}

export class ModelBuilder {
  readonly nodes: OnnxNode[] = []
  readonly tensors: OnnxTensor[] = []
  #count = 0
  #seed = 1
  #made: string[] | undefined
  #reused: number | undefined

  add(opType: string, inputs: readonly string[], attributes: Attributes = {}, domain = ''): string {
    const output = `v${this.#count++}`
    this.nodes.push(onnxNode(opType, inputs, [output], attributes, domain))
    return output
  }

  /** Equal parts of the last axis. */
  split(x: string, count: 3): [string, string, string] {
    const outputs: [string, string, string] = [`v${this.#count++}`, `v${this.#count++}`, `v${this.#count++}`]
    this.nodes.push(onnxNode('Split', [x], outputs, { axis: -1, num_outputs: count }))
    return outputs
  }

  tensor(tensor: OnnxTensor): string {
    const name = `t${this.#count++}`
    this.tensors.push({ ...tensor, name })
    return name
  }

  scalar(value: number): string {
    return this.tensor(floats([], [value]))
  }

  list(...values: number[]): string {
    return this.tensor(integers([values.length], values))
  }

  /** From now on random tensors are made, and can be had again. */
  startSharing(): void {
    this.#made = []
  }

  /** From now on the tensors that were made since `startSharing` come again, in order. */
  again(): void {
    this.#reused = 0
  }

  random(...dims: number[]): string {
    const before = this.#reused === undefined ? undefined : this.#made?.[this.#reused++]
    if (before !== undefined) return before
    const name = this.#random(dims)
    this.#made?.push(name)
    return name
  }

  #random(dims: readonly number[]): string {
    const size = dims.reduce((a, b) => a * b, 1)
    return this.tensor(
      floats(
        dims,
        Array.from({ length: size }, () => this.#next()),
      ),
    )
  }

  linear(x: string, from: number, to: number): string {
    return this.add('Add', [this.add('MatMul', [x, this.random(from, to)]), this.random(to)])
  }

  layerNorm(x: string, width: number): string {
    return this.add('LayerNormalization', [x, this.random(width), this.random(width)], { epsilon: { float: 1e-12 } })
  }

  model(inputs: readonly string[], outputs: readonly string[], opset = 17): OnnxModel {
    const info = (name: string, elemType: number, dims: readonly string[]) => ({
      name,
      type: { tensorType: { elemType, shape: { dim: dims.map((dimParam) => ({ dimParam })) } } },
    })
    return {
      irVersion: 8,
      opsetImport: [{ domain: '', version: opset }],
      metadataProps: [],
      functions: [],
      graph: {
        name: 'test',
        node: this.nodes,
        initializer: this.tensors,
        input: inputs.map((name) => info(name, DataType.int64, ['batch', 'sequence'])),
        output: outputs.map((name) => info(name, DataType.float, ['batch', 'sequence', 'hidden'])),
        valueInfo: [],
      },
    }
  }

  /** Uniform in [-1/2, 1/2), the same in every run. */
  #next(): number {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0
    return this.#seed / 2 ** 32 - 0.5
  }
}

export interface TinyBertOptions {
  readonly layers?: number
  readonly hidden?: number
  readonly heads?: number
  readonly feedForward?: number
  /** Longest row. @default 16 */
  readonly positions?: number
  /** Token ids. @default 20 */
  readonly vocabulary?: number
  /** Makes what is added to the scores; the default is the padding mask. */
  readonly bias?: (b: ModelBuilder, paddingBias: string) => string
  /** Makes the attention probabilities from masked scores. */
  readonly softmax?: (b: ModelBuilder, scores: string) => string
  readonly activation?: (b: ModelBuilder, x: string) => string
  /** Makes queries, keys and values from x: by one matrix [C, 3C] cut by Split or Slice. @default three matrices */
  readonly projections?: 'split' | 'slice'
  /** Multiplies queries [B,H,S,D] and keys [B,H,S,D], unscaled. */
  readonly product?: (b: ModelBuilder, query: string, key: string) => string
  /** Makes the rows to look up in the table of positions; the default is 0..S-1. */
  readonly places?: (b: ModelBuilder) => string
  /** Makes the heads side by side [B,S,C] from x, in place of all else that attention is made of. */
  readonly attention?: (b: ModelBuilder, x: string) => string
  /** All layers have the weights of the first. */
  readonly shared?: boolean
  /** What follows the encoder; returns the output's name. */
  readonly after?: (b: ModelBuilder, hidden: string) => string
}

function project(
  b: ModelBuilder,
  x: string,
  hidden: number,
  how: TinyBertOptions['projections'],
): [string, string, string] {
  if (!how) return [b.linear(x, hidden, hidden), b.linear(x, hidden, hidden), b.linear(x, hidden, hidden)]
  const joined = b.linear(x, hidden, 3 * hidden)
  if (how === 'split') return b.split(joined, 3)
  const slice = (i: number) =>
    b.add('Slice', [joined, b.list(i * hidden), b.list((i + 1) * hidden), b.list(-1), b.list(1)])
  return [slice(0), slice(1), slice(2)]
}

/** Inputs input_ids, attention_mask, token_type_ids; output: the last value made. */
export function tinyBert(options: TinyBertOptions = {}): OnnxModel {
  const { layers = 2, hidden = 8, heads = 2, feedForward = 12, positions: longest = 16, vocabulary = 20 } = options
  const b = new ModelBuilder()
  const shape = b.add('Shape', ['input_ids'])
  const size = (axis: number) => b.add('Gather', [shape, b.list(axis)], { axis: 0 })
  const positions = b.add('Slice', [
    b.tensor(integers([1, longest], [...Array(longest).keys()])),
    b.list(0),
    size(1),
    b.list(1),
  ])
  const words = b.add('Gather', [b.random(vocabulary, hidden), 'input_ids'])
  const types = b.add('Gather', [b.random(2, hidden), 'token_type_ids'])
  const places = b.add('Gather', [b.random(longest, hidden), options.places?.(b) ?? positions])
  let x = b.layerNorm(b.add('Add', [b.add('Add', [words, types]), places]), hidden)
  const keep = b.add('Cast', [b.add('Unsqueeze', ['attention_mask', b.list(1, 2)])], { to: DataType.float })
  const padding = b.add('Mul', [b.add('Sub', [b.scalar(1), keep]), b.scalar(-3.4028234663852886e38)])
  const bias = options.bias?.(b, padding) ?? padding
  const split = b.add('Concat', [size(0), size(1), b.list(heads), b.list(hidden / heads)], { axis: 0 })
  const merge = b.add('Concat', [size(0), size(1), b.list(hidden)], { axis: 0 })
  const cut = (y: string, perm: readonly number[]) => b.add('Transpose', [b.add('Reshape', [y, split])], { perm })
  const attend = (x: string): string => {
    const [query, key, value] = project(b, x, hidden, options.projections)
    const product = options.product
      ? options.product(b, cut(query, [0, 2, 1, 3]), cut(key, [0, 2, 1, 3]))
      : b.add('MatMul', [cut(query, [0, 2, 1, 3]), cut(key, [0, 2, 3, 1])])
    const scores = b.add('Add', [b.add('Div', [product, b.scalar(2)]), bias])
    const probabilities = options.softmax?.(b, scores) ?? b.add('Softmax', [scores], { axis: -1 })
    return b.add('Transpose', [b.add('MatMul', [probabilities, cut(value, [0, 2, 1, 3])])], { perm: [0, 2, 1, 3] })
  }
  if (options.shared) b.startSharing()
  for (let i = 0; i < layers; i++) {
    if (options.shared && i > 0) b.again()
    const merged = options.attention?.(b, x) ?? b.add('Reshape', [attend(x), merge])
    const output = b.linear(merged, hidden, hidden)
    const middle = b.layerNorm(b.add('Add', [output, x]), hidden)
    const up = b.linear(middle, hidden, feedForward)
    const down = b.linear(options.activation?.(b, up) ?? b.add('Relu', [up]), feedForward, hidden)
    x = b.layerNorm(b.add('Add', [down, middle]), hidden)
  }
  const output = options.after?.(b, x) ?? x
  return b.model(['input_ids', 'attention_mask', 'token_type_ids'], [output])
}
