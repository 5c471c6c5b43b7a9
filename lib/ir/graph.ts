/**
 * The intermediate representation: a flat list of op nodes over named values, in execution order.
 *
 * Shape letters, as everywhere in the project: `B` sequences, `T` tokens of the packed batch, `H` heads, `D` head
 * width, `C` = H·D hidden, `F` feed-forward, `M` adapter bottleneck, `K` classes, `cu` cumulative lengths i32[B+1].
 * Only T and B are symbolic; everything else is a number.
 */

/** One axis: a fixed size, or one that is bound at each step. */
export type Dim = number | 'T' | 'B' | 'B+1'
export type Shape = readonly Dim[]
/** `bf16`: the upper half of an f32; only in programs for a GPU, see lib/plan/narrow.ts. */
export type DType = 'f32' | 'i32' | 'bf16'
export const elementBytes: Readonly<Record<DType, number>> = { f32: 4, i32: 4, bf16: 2 }

/**
 * Where a value lives.
 * - `input`: handed in with each batch (ids, types, cu, labels).
 * - `frozen`: backbone weights, prepacked once and shared by sessions.
 * - `parameter`: trained, in the flat parameter buffer; `gradient`, `moment1`, `moment2` mirror it.
 * - `task`: a frozen weight of the task that a row belongs to, where rows of several tasks make one batch.
 * - `working`: a copy of the parameters in bf16, in the same order, for the products of a GPU.
 * - `activation`: in the planned arena, defined within one run only.
 */
export type Storage =
  'input' | 'frozen' | 'parameter' | 'gradient' | 'moment1' | 'moment2' | 'activation' | 'task' | 'working'

/**
 * Rows of a weight as the model file holds them. A weight is the concatenation of its parts along axis 0
 * (query, key and value make one linear layer).
 */
export interface TensorPart {
  /** Public name, `layer.0.attention.query.weight`. */
  readonly name: string
  /** Logical shape [rows, columns] or [rows] for vectors, linear matrices as [out, in]. */
  readonly shape: readonly number[]
  /** Float values, or the bits of IEEE half floats in a Uint16Array. */
  readonly data: Float32Array | Uint16Array
  /** True where `data` holds the transpose, [in, out], as ONNX MatMul weights do. */
  readonly transposed: boolean
}

export interface Value {
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape
  readonly storage: Storage
  /** Content of `frozen` values, and the initial content of `parameter` values that come from the backbone. */
  readonly parts?: readonly TensorPart[]
}

export type AttributeValue = number | string

export interface Node {
  /** Name of the op in the registry (lib/ops). */
  readonly op: string
  /** Where the node comes from, in the user's terms: `layer.3.attention.output`, or the ONNX node's name. */
  readonly name: string
  /** Operands by the names of the op's definition; optional ones may be absent. */
  readonly inputs: Readonly<Record<string, Value>>
  readonly outputs: Readonly<Record<string, Value>>
  readonly attributes: Readonly<Record<string, AttributeValue>>
}

/** An immutable graph; passes make new ones. Nodes stand in an order in which they can run. */
export interface Graph {
  readonly nodes: readonly Node[]
  /** Results by name: `hidden`, `logits`, `loss`, ... */
  readonly outputs: Readonly<Record<string, Value>>
}

export function activation(name: string, shape: Shape, dtype: DType = 'f32'): Value {
  return { name, dtype, shape, storage: 'activation' }
}

/** The batch inputs that every graph shares; identity matters, so graphs use these very objects. */
export const inputs = {
  ids: { name: 'ids', dtype: 'i32', shape: ['T'], storage: 'input' },
  types: { name: 'types', dtype: 'i32', shape: ['T'], storage: 'input' },
  cu: { name: 'cu', dtype: 'i32', shape: ['B+1'], storage: 'input' },
} as const satisfies Record<string, Value>

/** Maps every value to the node that writes it. */
export function producers(graph: Graph): Map<Value, Node> {
  const map = new Map<Value, Node>()
  for (const node of graph.nodes) for (const value of Object.values(node.outputs)) map.set(value, node)
  return map
}

/** Maps every value to the nodes that read it, in order. */
export function consumers(graph: Graph): Map<Value, Node[]> {
  const map = new Map<Value, Node[]>()
  for (const node of graph.nodes) {
    for (const value of new Set(Object.values(node.inputs))) {
      const list = map.get(value)
      if (list) list.push(node)
      else map.set(value, [node])
    }
  }
  return map
}
