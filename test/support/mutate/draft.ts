/** A model under change: finds nodes and constants, puts in new ones, and draws random numbers from one seed. */
import { canonicalise } from '../../../lib/onnx/canonicalise.js'
import type { MaybeDim } from '../../../lib/onnx/dim.js'
import { shapeOf } from '../../../lib/onnx/known.js'
import { DataType, type OnnxGraph, type OnnxModel, type OnnxNode, type OnnxTensor } from '../../../lib/onnx/schema.js'
import { plainTensor, tensorNumbers, tensorShape } from '../../../lib/onnx/tensor.js'
import { type Attributes, integers, onnxNode } from '../onnx_models.js'
import { uniform } from '../random.js'

/** A change that leaves what a model computes as it is. */
export interface Mutation {
  readonly name: string
  /** Changes some places, drawn by the draft. @returns how many */
  apply(draft: Draft): number
}

export interface Fact {
  readonly shape?: readonly MaybeDim[] | undefined
  readonly type?: number | undefined
}

export interface Edge {
  readonly node: OnnxNode
  readonly slot: number
  readonly name: string
}

export class Draft {
  readonly model: OnnxModel
  /** Uniform in [0, 1). */
  readonly random: () => number
  #count = 0
  readonly #prefix: string

  constructor(model: OnnxModel, seed: number) {
    this.model = structuredClone(model)
    this.random = uniform(seed)
    this.#prefix = `m${seed}_`
    while (JSON.stringify(namesOf(this.graph)).includes(`"${this.#prefix}`)) this.#prefix += '_'
    this.graph.valueInfo = []
  }

  get graph(): OnnxGraph {
    return this.model.graph!
  }

  get opset(): number {
    return Number(this.model.opsetImport.find(({ domain }) => !domain || domain === 'ai.onnx')?.version ?? 0)
  }

  // Chance

  chance(probability = 0.5): boolean {
    return this.random() < probability
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!
  }

  /** A part of a list, each item with this probability, but one at least. */
  some<T>(list: readonly T[], probability = 0.5): T[] {
    const chosen = list.filter(() => this.chance(probability))
    return chosen.length || !list.length ? chosen : [this.pick(list)]
  }

  // Looking

  nodes(...types: readonly string[]): OnnxNode[] {
    return this.graph.node.filter(({ opType, domain }) => types.includes(opType!) && !domain)
  }

  maker(name: string | undefined): OnnxNode | undefined {
    return name ? this.graph.node.find(({ output }) => output.includes(name)) : undefined
  }

  readers(name: string): OnnxNode[] {
    return this.graph.node.filter(({ input }) => input.includes(name))
  }

  isOutput(name: string): boolean {
    return this.graph.output.some((output) => output.name === name)
  }

  /** The reader of a value that one node reads, and nobody else. */
  onlyReader(name: string | undefined): OnnxNode | undefined {
    const readers = name && !this.isOutput(name) ? this.readers(name) : []
    return readers.length === 1 ? readers[0] : undefined
  }

  /** Everything that is read, once for each reading. */
  edges(): Edge[] {
    return this.graph.node.flatMap((node) => node.input.flatMap((name, slot) => (name ? [{ node, slot, name }] : [])))
  }

  tensor(name: string | undefined): OnnxTensor | undefined {
    if (!name) return undefined
    const initializer = this.graph.initializer.find((tensor) => tensor.name === name)
    if (initializer) return initializer
    const maker = this.maker(name)
    return maker?.opType === 'Constant' ? maker.attribute.find(({ name }) => name === 'value')?.t : undefined
  }

  /** The one number that a constant holds. */
  scalar(name: string | undefined): number | undefined {
    const tensor = this.tensor(name)
    if (!tensor || tensorShape(tensor).some((dim) => dim !== 1)) return undefined
    return tensorNumbers(tensor)[0]
  }

  /** Shapes and element types, as far as they are known. */
  facts(): (name: string) => Fact {
    const { network } = canonicalise(this.model)
    return (name) => {
      const value = network.names.get(name)
      return { shape: shapeOf(value), type: value?.type }
    }
  }

  // Changing

  fresh(): string {
    return `${this.#prefix}${this.#count++}`
  }

  /** @returns the name of the result */
  add(type: string, input: readonly string[], attributes: Attributes = {}, output = this.fresh(), domain = ''): string {
    this.graph.node.push(onnxNode(type, input, [output], attributes, domain))
    return output
  }

  addMany(type: string, input: readonly string[], count: number, attributes: Attributes = {}): string[] {
    const outputs = Array.from({ length: count }, () => this.fresh())
    this.graph.node.push(onnxNode(type, input, outputs, attributes))
    return outputs
  }

  /** A constant: an initializer, or a node. */
  constant(tensor: OnnxTensor): string {
    if (this.chance()) return this.add('Constant', [], { value: tensor })
    const name = this.fresh()
    this.graph.initializer.push({ ...tensor, name })
    return name
  }

  integers(...values: number[]): string {
    return this.constant(integers([values.length], values))
  }

  index(value: number): string {
    return this.constant(integers([], [value]))
  }

  /** Numbers of an element type. */
  floats(dims: readonly number[], values: readonly number[], type: number = DataType.float): string {
    return this.constant(floatTensor(dims, values, type))
  }

  remove(node: OnnxNode): void {
    this.graph.node.splice(this.graph.node.indexOf(node), 1)
  }

  /** A node's results, to be written by what stands in its place. */
  takeOver(node: OnnxNode): string {
    this.remove(node)
    return node.output[0]!
  }

  /** Nodes in an order in which they can run, that of the file where it is free. */
  sort(order: (ready: OnnxNode[]) => OnnxNode = (ready) => ready[0]!): void {
    const written = new Set(this.graph.node.flatMap(({ output }) => output))
    const done = new Set<string>()
    const waiting = [...this.graph.node]
    const sorted: OnnxNode[] = []
    while (waiting.length) {
      const ready = waiting.filter(({ input }) => input.every((name) => !written.has(name) || done.has(name)))
      if (!ready.length) throw new Error('a mutation made a cycle')
      const next = order(ready)
      waiting.splice(waiting.indexOf(next), 1)
      for (const name of next.output) done.add(name)
      sorted.push(next)
    }
    this.graph.node = sorted
  }
}

function namesOf(graph: OnnxGraph): string[] {
  return [...graph.node.flatMap(({ output }) => output), ...graph.initializer.map(({ name }) => name ?? '')]
}

export function floatTensor(dims: readonly number[], values: readonly number[], type: number): OnnxTensor {
  const data = type === DataType.float16 ? Uint16Array.from(values, floatToHalf) : Float32Array.from(values)
  return plainTensor(type, dims, { rawData: new Uint8Array(data.buffer) })
}

/** Bits of the half float nearest to a number. */
function floatToHalf(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0
  const size = Math.abs(x)
  if (size >= 65520) return sign | 0x7c00
  if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24)
  const exponent = Math.floor(Math.log2(size))
  // A fraction rounded up to 1 carries into the exponent, as it should.
  return sign | (((exponent + 15) << 10) + Math.round((size / 2 ** exponent - 1) * 1024))
}

/** A matrix [rows, columns] turned. */
export function turnedTensor(tensor: OnnxTensor): OnnxTensor {
  const [rows = 0, columns = 0] = tensorShape(tensor)
  const numbers = tensorNumbers(tensor)
  const turned = Array.from({ length: rows * columns }, (_, i) => numbers[(i % rows) * columns + Math.floor(i / rows)]!)
  return floatTensor([columns, rows], turned, tensor.dataType!)
}
