/**
 * From a program in f32 to one whose large values are stored in bf16, for a GPU. What an op may store so, its definition
 * says (`stored`): activations and their gradients of width C, F and M, frozen matrices and tables. What enters the sum
 * in front of a LayerNorm stays f32: dense + bias + adapter + residual is rounded once, behind it. Everything small stays
 * f32 too: statistics, logits, losses, gradients of parameters, and the parameters themselves.
 *
 * Products read trained matrices from a copy in bf16, the storage `working`, which the first node of an entry makes of
 * the whole flat buffer. So it is made once a run, and nobody need tell it of a changed parameter. That pass costs 6 bytes
 * a parameter: little beside the 28 of AdamW, which could write it in passing.
 */
import type { Node, Value } from '../ir/graph.js'
import { cast } from '../ops/cast.js'
import { makeNode, type OperandSpec } from '../ops/define.js'
import { opByName } from '../ops/index.js'
import { flatBuffer, type ParameterLayout } from './layout.js'
import type { Entry } from './schedule.js'

/** @returns the entries in their order; values in bf16 are new ones, under the names of the old */
export function narrowEntries(entries: readonly Entry[], layout: ParameterLayout): Entry[] {
  const weights = new Map<Value, Value>()
  return entries.map((entry) => new Narrowing(entry, layout, weights).run())
}

/** What is asked of an activation by the nodes that write and read it. */
interface Demand {
  /** Somebody takes it in bf16 alone. */
  narrow: boolean
  /** Somebody takes it in f32 alone. */
  wide: boolean
  /** How the node that writes it can. */
  written: OperandSpec['stored']
}

/** One entry on its way to bf16. */
class Narrowing {
  readonly #demands = new Map<Value, Demand>()
  /** What stands for an activation in bf16. */
  readonly #narrow = new Map<Value, Value>()
  #readsCopy = false

  constructor(
    private readonly entry: Entry,
    private readonly layout: ParameterLayout,
    /** Frozen and trained matrices: the same in all entries. */
    private readonly weights: Map<Value, Value>,
  ) {}

  run(): Entry {
    const { entry } = this
    for (const value of [entry.loss, entry.norm]) if (value) this.#demand(value).wide = true
    for (const node of entry.nodes) for (const side of ['outputs', 'inputs'] as const) this.#ask(node, side)
    const nodes = entry.nodes.flatMap((node) => this.#rewrite(node))
    return { ...entry, nodes: this.#readsCopy ? [this.#copy(), ...nodes] : nodes, output: this.#result(entry.output) }
  }

  #ask(node: Node, side: 'inputs' | 'outputs'): void {
    const specs = opByName(node.op)[side]
    for (const [operand, value] of Object.entries(node[side])) {
      if (value.storage !== 'activation') continue
      const { stored } = specs[operand]!
      const demand = this.#demand(value)
      if (side === 'outputs') demand.written = stored
      if (stored === 'narrow') demand.narrow = true
      if (stored === undefined) demand.wide = true
    }
  }

  #demand(value: Value): Demand {
    const before = this.#demands.get(value)
    if (before) return before
    const demand: Demand = { narrow: false, wide: false, written: undefined }
    this.#demands.set(value, demand)
    return demand
  }

  /** The node on its new operands; behind it, conversions of what is asked for both ways. */
  #rewrite(node: Node): Node[] {
    const specs = opByName(node.op).inputs
    const casts: Node[] = []
    const inputs = mapValues(node.inputs, (value, operand) => this.#read(value, specs[operand]!.stored))
    const outputs = mapValues(node.outputs, (value) => this.#write(value, casts))
    return [{ ...node, inputs, outputs }, ...casts]
  }

  #write(value: Value, casts: Node[]): Value {
    const { narrow, wide, written } = this.#demands.get(value) ?? {}
    if (!narrow) return value
    const small: Value = { ...value, dtype: 'bf16' }
    this.#narrow.set(value, small)
    if (!wide) return small
    const [from, to] = written === 'narrow' ? [small, value] : [value, small]
    const name = `${value.name} in ${to.dtype}`
    casts.push({ ...makeNode(cast, name, { x: value }), inputs: { x: from }, outputs: { y: to } })
    return from
  }

  #read(value: Value, stored: OperandSpec['stored']): Value {
    if (value.storage === 'activation') return stored ? (this.#narrow.get(value) ?? value) : value
    if (stored !== 'narrow') return value
    if (value.storage === 'frozen' || value.storage === 'task') return this.#weight(value, { ...value, dtype: 'bf16' })
    if (value.storage !== 'parameter') return value
    this.#readsCopy = true
    return this.#weight(value, { ...value, dtype: 'bf16', storage: 'working' })
  }

  #weight(value: Value, small: Value): Value {
    const before = this.weights.get(value)
    if (before) return before
    this.weights.set(value, small)
    return small
  }

  /** A result that is stored both ways is read out in f32. */
  #result(value: Value | undefined): Value | undefined {
    if (!value || this.#demands.get(value)?.wide) return value
    return this.#narrow.get(value) ?? value
  }

  #copy(): Node {
    const node = makeNode(cast, 'working copy of the parameters', { x: flatBuffer('parameter', this.layout) })
    return { ...node, outputs: { y: flatBuffer('working', this.layout) } }
  }
}

function mapValues(
  values: Readonly<Record<string, Value>>,
  change: (value: Value, operand: string) => Value,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(values).map(([operand, value]) => [operand, change(value, operand)]))
}
