import { OnnxImportError } from '../errors.js'
import type { MaybeDim } from './dim.js'
import type { Field } from './field.js'
import { expandFused } from './expand.js'
import { inlineFunctions } from './inline.js'
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from './schema.js'
import { AttributeType, DataType } from './schema.js'
import { plainTensor } from './tensor.js'

/**
 * The graph as the passes see it: values linked to the operators that write and read them, in an order in which they
 * can run, with constants in one form wherever the file keeps them.
 */
export interface Network {
  readonly operators: readonly Operator[]
  readonly inputs: readonly Quantity[]
  readonly outputs: readonly Quantity[]
  /** Names in the file, also of values that turned out to be the same: name -> value. */
  readonly names: ReadonlyMap<string, Quantity>
  /** Version of the ai.onnx operators. */
  readonly opset: number
}

/** One value of the graph, with what could be derived about it. */
export interface Quantity {
  readonly name: string
  producer?: Operator
  /** Which output of its producer. */
  readonly slot: number
  readonly consumers: Operator[]
  constant?: OnnxTensor
  /** Element type, a number of DataType, where known. */
  type?: number
  shape?: readonly MaybeDim[]
  /** All elements of a small integer or scalar tensor; undefined elements are unknown. */
  content?: readonly MaybeDim[]
  field?: Field
}

export interface Operator {
  /** `MatMul`, or `com.microsoft:Attention` outside of ai.onnx. */
  readonly type: string
  /** The node's name, or its first output's where it has none: for messages. */
  readonly name: string
  readonly attributes: ReadonlyMap<string, OnnxAttribute>
  inputs: readonly (Quantity | undefined)[]
  readonly outputs: readonly (Quantity | undefined)[]
}

/** Builds the linked graph: functions inlined, nodes sorted. @throws OnnxImportError ERR_ONNX_FORMAT for graphs that cannot run */
export function linkNetwork(model: OnnxModel): Network {
  const graph = model.graph!
  const names = new Map<string, Quantity>()
  const define = (name: string, slot: number): Quantity => {
    if (names.has(name)) throw broken(`two values have the name "${name}"`, name, 'names that are unique')
    const value: Quantity = { name, slot, consumers: [] }
    names.set(name, value)
    return value
  }
  for (const tensor of graph.initializer) {
    const value = define(tensor.name ?? '', 0)
    setConstant(value, tensor)
  }
  const inputs: Quantity[] = []
  for (const info of graph.input) {
    // Files of IR version 3 list initializers as inputs too.
    if (names.get(info.name ?? '')?.constant) continue
    const value = define(info.name ?? '', 0)
    describeInput(value, info)
    inputs.push(value)
  }
  const nodes = expandFused(model, inlineFunctions(model))
  const created: Operator[] = nodes.map((node) => {
    const type = node.domain && node.domain !== 'ai.onnx' ? `${node.domain}:${node.opType ?? ''}` : (node.opType ?? '')
    const outputs = node.output.map((name, slot) => (name ? define(name, slot) : undefined))
    const attributes = new Map(node.attribute.map((attribute) => [attribute.name ?? '', attribute]))
    const name = node.name || node.output.find((output) => output) || type
    const operator: Operator = { type, name, attributes, inputs: [], outputs }
    for (const output of outputs) if (output) output.producer = operator
    return operator
  })
  nodes.forEach((node, i) => (created[i]!.inputs = linkInputs(node, created[i]!, names)))
  const outputs = graph.output.map((info) => {
    const value = names.get(info.name ?? '')
    if (!value)
      throw broken(`the output "${info.name ?? ''}" is written by no node`, info.name, 'a node that writes it')
    return value
  })
  const operators = sortOperators(created)
  for (const operator of operators) {
    for (const input of new Set(operator.inputs)) input?.consumers.push(operator)
  }
  const opset = Number(model.opsetImport.find((entry) => !entry.domain || entry.domain === 'ai.onnx')?.version ?? 0)
  return { operators, inputs, outputs, names, opset }
}

function linkInputs(
  node: OnnxNode,
  operator: Operator,
  names: ReadonlyMap<string, Quantity>,
): (Quantity | undefined)[] {
  return node.input.map((name) => {
    if (!name) return undefined
    const value = names.get(name)
    if (!value)
      throw broken(
        `node "${operator.name}" reads "${name}", which nothing writes`,
        operator.name,
        'a value of the graph',
      )
    return value
  })
}

function broken(reason: string, node: string | undefined, expected: string): OnnxImportError {
  const message = `The ONNX graph cannot run: ${reason}. Export the model again.`
  return new OnnxImportError('ERR_ONNX_FORMAT', message, { node, expected })
}

export function setConstant(value: Quantity, tensor: OnnxTensor): void {
  value.constant = tensor
  if (tensor.dataType !== undefined) value.type = tensor.dataType
}

function describeInput(value: Quantity, info: OnnxValueInfo): void {
  const type = info.type?.tensorType
  if (type?.elemType !== undefined) value.type = type.elemType
  if (!type?.shape) return
  value.shape = type.shape.dim.map((dim, axis) => {
    if (dim.dimValue !== undefined && dim.dimValue !== 0) return Number(dim.dimValue)
    return { factor: 1, names: [dim.dimParam || `${value.name}.${axis}`] }
  })
}

/** Kahn's algorithm, keeping the file's order where it is free. @throws OnnxImportError ERR_ONNX_FORMAT for a cycle */
function sortOperators(operators: readonly Operator[]): Operator[] {
  const waiting = new Map<Operator, number>()
  const readers = new Map<Operator, Operator[]>()
  const sorted: Operator[] = []
  for (const operator of operators) {
    const sources = new Set(operator.inputs.map((input) => input?.producer).filter((source) => source !== undefined))
    waiting.set(operator, sources.size)
    for (const source of sources) {
      const list = readers.get(source)
      if (list) list.push(operator)
      else readers.set(source, [operator])
    }
    if (sources.size === 0) sorted.push(operator)
  }
  for (let i = 0; i < sorted.length; i++) {
    for (const reader of readers.get(sorted[i]!) ?? []) {
      const left = waiting.get(reader)! - 1
      waiting.set(reader, left)
      if (left === 0) sorted.push(reader)
    }
  }
  if (sorted.length < operators.length) {
    const stuck = operators.find((operator) => waiting.get(operator)! > 0)!
    throw broken(`node "${stuck.name}" depends on its own result`, stuck.name, 'a graph without cycles')
  }
  return sorted
}

// Attributes, with the default of the operator's definition.

export function intAttribute(operator: Operator, name: string, fallback: number): number {
  const attribute = operator.attributes.get(name)
  return attribute ? Number(attribute.i ?? 0) : fallback
}

export function floatAttribute(operator: Operator, name: string, fallback: number): number {
  const attribute = operator.attributes.get(name)
  return attribute ? (attribute.f ?? 0) : fallback
}

export function intsAttribute(operator: Operator, name: string): number[] | undefined {
  return operator.attributes.get(name)?.ints.map(Number)
}

export function textAttribute(operator: Operator, name: string, fallback: string): string {
  const bytes = operator.attributes.get(name)?.s
  return bytes ? Buffer.from(bytes).toString('utf8') : fallback
}

/** The tensor of a Constant node, whichever attribute holds it; undefined for sparse tensors and strings. */
export function constantOfNode(operator: Operator): OnnxTensor | undefined {
  const attribute = (name: string) => operator.attributes.get(name)
  const tensor = attribute('value')?.t
  if (tensor) return tensor
  const float = attribute('value_float')
  if (float) return plainTensor(DataType.float, [], { floatData: [float.f ?? 0] })
  const floats = attribute('value_floats')
  if (floats) return plainTensor(DataType.float, [floats.floats.length], { floatData: floats.floats })
  const int = attribute('value_int')
  if (int) return plainTensor(DataType.int64, [], { int64Data: [int.i ?? 0] })
  const ints = attribute('value_ints')
  if (ints) return plainTensor(DataType.int64, [ints.ints.length], { int64Data: ints.ints })
  return undefined
}

/** A text that is equal for equal attributes; undefined where they hold graphs or tensors, which are not compared. */
export function attributeKey(operator: Operator): string | undefined {
  const items: string[] = []
  for (const [name, attribute] of operator.attributes) {
    if (attribute.t || attribute.g || (attribute.type ?? 0) > AttributeType.strings) return undefined
    const text = attribute.s ? Buffer.from(attribute.s).toString('latin1') : ''
    items.push(
      [name, attribute.f, attribute.i, text, attribute.floats, attribute.ints, attribute.strings].join('\u0001'),
    )
  }
  return items.sort().join('\u0002')
}
