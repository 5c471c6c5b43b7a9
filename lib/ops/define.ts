import type { AttributeValue, Graph, Node, Shape, Value } from '../ir/graph.js'
import { activation } from '../ir/graph.js'
import { ShapeError } from '../errors.js'

/** How an op wants a frozen weight: see native/ops/call.h. */
export type Form = 'raw' | 'packed' | 'packedTransposed'

export interface OperandSpec {
  readonly optional?: boolean
  readonly dtype?: 'f32' | 'i32'
  /**
   * Where f32 may be bf16 instead: of a node, all operands that are `narrow` or none; `any` one by itself, where the
   * others are. @default never
   */
  readonly stored?: 'narrow' | 'any'
  /** Only for inputs that may be frozen matrices. @default 'raw' */
  readonly form?: Form
}

/** An attribute is a number of one kind, or one of a list of names, sent as its index. */
export type AttributeSpec = 'f32' | 'i32' | 'u32' | readonly string[]

/** Index in this list = number in OA_FOR_EACH_ACTIVATION. */
export const activations = ['none', 'gelu_tanh', 'gelu', 'relu', 'silu', 'tanh'] as const
export type Activation = (typeof activations)[number]

/** What a VJP is given: the node with its saved outputs, the gradients of its outputs, and what is wanted. */
export interface VjpContext {
  readonly node: Node
  /** Gradient of the output `y` (or of the op's main output). */
  readonly dy: Value
  /** True for every input whose gradient is needed. */
  readonly needs: Readonly<Record<string, boolean>>
  /** Appends a node to the backward graph; returns its outputs. `want` lists optional outputs to make. */
  emit(
    op: OpDef,
    inputs: Record<string, Value | undefined>,
    attributes?: Record<string, AttributeValue>,
    want?: readonly string[],
  ): Record<string, Value>
}

export interface Cost {
  /** Floating-point operations. */
  readonly flops: number
  /** Bytes of memory traffic that cannot be avoided: every operand once. */
  readonly bytes: number
}

export interface OpDef {
  readonly name: string
  /** Code in native/ops/opcodes.h. */
  readonly code: number
  /** In the order of opcodes.h. The first output is the main one, whose gradient drives the VJP. */
  readonly outputs: Readonly<Record<string, OperandSpec>>
  readonly inputs: Readonly<Record<string, OperandSpec>>
  readonly attributes: Readonly<Record<string, AttributeSpec>>
  /** Shapes of all outputs, optional ones too; throws ShapeError naming the operand that does not fit. */
  shape(
    inputs: Readonly<Record<string, Shape>>,
    attributes: Readonly<Record<string, AttributeValue>>,
  ): Record<string, Shape>
  /** Optional outputs the forward node must also write when these inputs need gradients. */
  saves?(needs: Readonly<Record<string, boolean>>, node: Node): readonly string[]
  /** Gradients of the needed inputs, by input name. Absent for ops that are never differentiated. */
  vjp?(context: VjpContext): Record<string, Value>
  /** With T and B bound. */
  cost(inputs: Readonly<Record<string, readonly number[]>>, outputs: Readonly<Record<string, readonly number[]>>): Cost
}

export function defineOp(definition: OpDef): OpDef {
  return definition
}

/**
 * Makes a node: checks operands, infers shapes, names outputs `<name>.<output>`.
 * @param want optional outputs to make besides the required ones
 */
export function makeNode(
  op: OpDef,
  name: string,
  inputs: Readonly<Record<string, Value | undefined>>,
  attributes: Readonly<Record<string, AttributeValue>> = {},
  want: readonly string[] = [],
): Node {
  const present: Record<string, Value> = {}
  for (const [key, value] of Object.entries(inputs)) {
    if (!(key in op.inputs))
      throw new ShapeError(`${op.name} "${name}" has no operand "${key}"`, { node: name, op: op.name })
    if (value) present[key] = value
  }
  for (const [key, spec] of Object.entries(op.inputs)) {
    if (!present[key] && !spec.optional)
      throw new ShapeError(`${op.name} "${name}" lacks its operand "${key}"`, { node: name, op: op.name })
    if (present[key] && present[key].dtype !== (spec.dtype ?? 'f32'))
      throw new ShapeError(
        `${op.name} "${name}": operand "${key}" is ${present[key].dtype}, expected ${spec.dtype ?? 'f32'}`,
        { node: name, op: op.name },
      )
  }
  const shapes = shapesOf(op, name, present, attributes)
  const outputs: Record<string, Value> = {}
  for (const [key, spec] of Object.entries(op.outputs)) {
    if (spec.optional && !want.includes(key)) continue
    outputs[key] = activation(`${name}.${key}`, shapes[key]!, spec.dtype ?? 'f32')
  }
  return { op: op.name, name, inputs: present, outputs, attributes }
}

/** The op's shape rule, its error naming the node. */
function shapesOf(
  op: OpDef,
  name: string,
  inputs: Readonly<Record<string, Value>>,
  attributes: Readonly<Record<string, AttributeValue>>,
): Record<string, Shape> {
  try {
    return op.shape(Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, value.shape])), attributes)
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error
    throw new ShapeError(`"${name}": ${error.message}`, { ...error.details, node: name })
  }
}

/** "y:any derivative?:narrow <- x:narrow w:narrow b?": the text that native/ops/opcodes.h holds for the same op. */
export function operandSignature(op: OpDef): string {
  const side = (specs: Readonly<Record<string, OperandSpec>>) =>
    Object.entries(specs)
      .map(([k, s]) => k + (s.optional ? '?' : '') + (s.dtype === 'i32' ? ':i32' : s.stored ? `:${s.stored}` : ''))
      .join(' ')
  return `${side(op.outputs)} <- ${side(op.inputs)}`
}

export function attributeSignature(op: OpDef): string {
  return Object.entries(op.attributes)
    .map(([k, s]) => `${k}:${typeof s === 'string' ? s : 'i32'}`)
    .join(' ')
}

export type { Graph }
