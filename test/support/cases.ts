/**
 * How a test file states its cases. A case builds the node under test; its operands are real activations with the
 * symbolic sizes T and B: token rows are looked up from a table by an embedding node, sequence rows are the first
 * tokens of such rows. So the planner and the executor see what they see in a model.
 */
import { inputs } from '../../lib/ir/graph.js'
import type { AttributeValue, DType, Node, Shape, Value } from '../../lib/ir/graph.js'
import { makeNode } from '../../lib/ops/define.js'
import { opByName } from '../../lib/ops/index.js'
import { wholeBuffer } from '../../lib/plan/layout.js'
import { normal } from './random.js'
import type { Scalars } from './reference/types.js'

export type Numbers = Float32Array | Int32Array

export interface OpCase {
  /** Unique within its op. */
  readonly name: string
  /** Tokens of every sequence; 0 is an empty one. */
  readonly lengths: readonly number[]
  /** Makes the operands and the node under test, which must be the last node made. */
  readonly build: (g: CaseBuilder) => Node
  /** Inputs to differentiate. @default none */
  readonly gradients?: readonly string[]
  /** Set where every sum is exact in f32: all instruction sets must then give the same bits as the reference. */
  readonly exact?: boolean
  /** Granted besides the budget, for functions of known absolute error. */
  readonly absoluteFloor?: number
  readonly scalars?: Partial<Scalars>
  /** Room for more tokens and sequences than this batch has. @default 0 */
  readonly spare?: number
}

/** A case ready to run: its nodes in order, and what its values hold. */
export interface BuiltCase {
  readonly nodes: readonly Node[]
  readonly node: Node
  readonly contents: ReadonlyMap<Value, Numbers>
  readonly ids: Int32Array
  readonly types: Int32Array | undefined
  readonly cu: Int32Array
  readonly labels: { readonly value: Value; readonly data: Numbers } | undefined
}

export class CaseBuilder {
  readonly nodes: Node[] = []
  readonly contents = new Map<Value, Numbers>()
  readonly cu: Int32Array
  readonly tokens: number
  readonly sequences: number
  ids: Int32Array
  types: Int32Array | undefined
  labels: { value: Value; data: Numbers } | undefined
  private vocabulary: number
  private ownIds = false
  readonly caseName: string

  constructor(lengths: readonly number[], caseName: string) {
    this.caseName = caseName
    this.cu = new Int32Array(lengths.length + 1)
    lengths.forEach((length, b) => (this.cu[b + 1] = this.cu[b]! + length))
    this.tokens = this.cu.at(-1)!
    this.sequences = lengths.length
    this.ids = Int32Array.from({ length: this.tokens }, (_, t) => t + 1)
    this.vocabulary = this.tokens + 1
  }

  /** Sets the batch's ids (below `vocabulary`) and types; before any operand is made. */
  batch(ids: Int32Array, vocabulary: number, types?: Int32Array): void {
    this.ids = ids
    this.ownIds = true
    this.vocabulary = vocabulary
    this.types = types
  }

  /** A trained tensor. */
  parameter(name: string, shape: readonly number[], data?: Float32Array): Value {
    return this.hold({ name, dtype: 'f32', shape, storage: 'parameter' }, data)
  }

  /** The flat gradient buffer, whole; parameters of that size stand behind it. */
  flatGradients(data: Float32Array): Value {
    this.parameter('flat', [data.length], new Float32Array(data.length))
    return this.hold({ name: wholeBuffer, dtype: 'f32', shape: [data.length], storage: 'gradient' }, data)
  }

  /** A frozen tensor: its op decides in which form native holds it. */
  frozen(name: string, shape: readonly number[], data?: Float32Array): Value {
    const held = data ?? normal(`${this.caseName}/${name}`, size(shape))
    const parts = [{ name, shape, data: held, transposed: false }]
    return this.hold({ name, dtype: 'f32', shape, storage: 'frozen', parts }, held)
  }

  /**
   * Activations [T, width], `data` being [T, width] too. Token t has the id t + 1: what a device adds behind the batch
   * has the id 0, whose row is zeros, as gradients there must be. With ids of `batch`, `data` is [vocabulary, width].
   */
  tokenRows(name: string, width: number, data?: Float32Array): Value {
    const word = this.parameter(`${name}.rows`, [this.vocabulary, width], this.rowsOf(name, width, data))
    return this.node('embedding', { ids: inputs.ids, cu: inputs.cu, word }, { position_offset: 0 }, [], `load.${name}`)
      .outputs['y']!
  }

  private rowsOf(name: string, width: number, data?: Float32Array): Float32Array | undefined {
    if (this.ownIds) return data
    const rows = new Float32Array(this.vocabulary * width)
    rows.set(data ?? normal(`${this.caseName}/${name}.rows`, this.tokens * width), width)
    return rows
  }

  /** Activations [B, width]: row b is row cu[b] of `data` [T, width], zeros for an empty sequence. */
  sequenceRows(name: string, width: number, data?: Float32Array): Value {
    const x = this.tokenRows(`${name}.tokens`, width, data)
    return this.node('pool', { x, cu: inputs.cu }, { mode: 'cls' }, [], `first.${name}`).outputs['y']!
  }

  /** The batch's labels. */
  label(dtype: DType, shape: Shape, data: Numbers): Value {
    const value: Value = { name: 'labels', dtype, shape, storage: 'input' }
    this.labels = { value, data }
    this.contents.set(value, data)
    return value
  }

  node(
    op: string,
    operands: Record<string, Value | undefined>,
    attributes: Record<string, AttributeValue> = {},
    want: readonly string[] = [],
    name = `test.${op}`,
  ): Node {
    const node = makeNode(opByName(op), name, operands, attributes, want)
    this.nodes.push(node)
    return node
  }

  /** The same node with more outputs. */
  replaceLast(want: readonly string[]): Node {
    const last = this.nodes.pop()!
    const all = new Set([...Object.keys(last.outputs), ...want])
    return this.node(last.op, last.inputs, last.attributes, [...all], last.name)
  }

  /** How many rows a table has only the table knows; autodiff does the same for models. */
  giveTablesTheirRows(made: Node, forward: Node): Node {
    this.nodes.pop()
    const outputs = Object.entries(made.outputs).map(([name, value]) => {
      const table = forward.inputs[name.slice('d_'.length)]!
      return [name, { ...value, shape: table.shape }]
    })
    const node: Node = { ...made, outputs: Object.fromEntries(outputs) }
    this.nodes.push(node)
    return node
  }

  private hold(value: Value, data?: Float32Array): Value {
    this.contents.set(value, data ?? normal(`${this.caseName}/${value.name}`, size(value.shape)))
    return value
  }
}

function size(shape: Shape): number {
  return shape.reduce<number>((product, dim) => product * Number(dim), 1)
}

export interface Gradients {
  readonly nodes: readonly Node[]
  /** By input of the node under test. */
  readonly values: Readonly<Record<string, Value>>
  readonly dy: Value
}

/** Forward node with what it must save, then the nodes that its VJP emits. */
export function buildGradients(g: CaseBuilder, wanted: readonly string[]): Gradients {
  const plain = g.nodes.at(-1)!
  const definition = opByName(plain.op)
  if (!definition.vjp) throw new TypeError(`op "${plain.op}" has no VJP`)
  const needs = Object.fromEntries(Object.keys(plain.inputs).map((name) => [name, wanted.includes(name)]))
  const node = g.replaceLast(definition.saves?.(needs, plain) ?? [])
  const dy = upstream(g, Object.values(node.outputs)[0]!)
  const start = g.nodes.length
  const values = definition.vjp({
    node,
    dy,
    needs,
    emit: (op, operands, attributes = {}, want = []) => {
      const made = g.node(op.name, operands, attributes, want, `test.backward.${g.nodes.length - start}`)
      return { ...(op.name === 'embedding_backward' ? g.giveTablesTheirRows(made, node) : made).outputs }
    },
  })
  return { nodes: g.nodes, values, dy }
}

/** An operand that holds the gradient of y; losses start it themselves and get a constant 1. */
function upstream(g: CaseBuilder, y: Value): Value {
  const width = Number(y.shape[1] ?? 1)
  if (y.shape[0] === 'T') return g.tokenRows('dy', width)
  if (y.shape[0] === 'B') return g.sequenceRows('dy', width)
  return g.parameter('dy', [1], Float32Array.of(1))
}

export function builtFrom(g: CaseBuilder, node: Node): BuiltCase {
  return { nodes: g.nodes, node, contents: g.contents, ids: g.ids, types: g.types, cu: g.cu, labels: g.labels }
}
