import { PlanError } from '../errors.js'
import { activation, type AttributeValue, type Graph, type Node, type Value } from '../ir/graph.js'
import { replaceValues } from '../ir/rewrite.js'
import { makeNode, type OpDef } from '../ops/define.js'
import { add } from '../ops/add.js'
import { opByName } from '../ops/index.js'

export interface Backward {
  /** Forward nodes, now writing what backward reads, then backward nodes. Outputs as before. */
  readonly graph: Graph
  /** For every trained parameter the value of storage `gradient` that the graph writes. */
  readonly gradients: ReadonlyMap<Value, Value>
}

/**
 * Reverse-mode differentiation of one loss over the registry's VJPs (Griewank & Walther 2008, ch. 3). Only values on
 * a path from a trained parameter to the loss get a gradient: nothing below the lowest of them is differentiated or
 * kept. Several gradients of a value are summed by `add` nodes in a fixed order.
 *
 * @param trained parameters to differentiate; other parameters count as constants
 * @throws {PlanError} ERR_GRAPH where a parameter does not reach the loss or an op has no VJP
 */
export function differentiate(graph: Graph, loss: Value, trained: ReadonlySet<Value>): Backward {
  const active = reachedFrom(trained, graph.nodes)
  const relevant = reaching(loss, graph.nodes)
  const forward = graph.nodes.map((node) => (relevant.has(node) ? withSaved(node, active) : node))
  const tape = new Tape(new Set(forward.map((node) => node.name)))

  for (const node of [...forward].reverse()) {
    const main = mainOutput(node)
    if (isActive(node, active) && (main === loss || tape.has(main))) tape.visit(node, loss, active)
  }
  return finish(graph, forward, tape, trained)
}

/** Values that depend on a trained parameter, those included. */
function reachedFrom(trained: ReadonlySet<Value>, nodes: readonly Node[]): Set<Value> {
  const active = new Set(trained)
  for (const node of nodes) {
    if (isActive(node, active)) for (const value of Object.values(node.outputs)) active.add(value)
  }
  return active
}

/** Nodes the loss depends on. */
function reaching(loss: Value, nodes: readonly Node[]): Set<Node> {
  const values = new Set([loss])
  const found = new Set<Node>()
  for (const node of [...nodes].reverse()) {
    if (!Object.values(node.outputs).some((value) => values.has(value))) continue
    found.add(node)
    for (const value of Object.values(node.inputs)) values.add(value)
  }
  return found
}

function isActive(node: Node, active: ReadonlySet<Value>): boolean {
  return Object.values(node.inputs).some((value) => active.has(value))
}

/** The output whose gradient drives the VJP: the first of the op's definition. */
function mainOutput(node: Node): Value {
  return node.outputs[Object.keys(opByName(node.op).outputs)[0]!]!
}

function needsOf(node: Node, active: ReadonlySet<Value>): Record<string, boolean> {
  return Object.fromEntries(Object.entries(node.inputs).map(([operand, value]) => [operand, active.has(value)]))
}

/** The node with the optional outputs its VJP will read. Outputs it had keep their identity. */
function withSaved(node: Node, active: ReadonlySet<Value>): Node {
  if (!isActive(node, active)) return node
  const op = opByName(node.op)
  const saved = op.saves?.(needsOf(node, active), node) ?? []
  if (saved.length === 0) return node
  const shapes = op.shape(
    Object.fromEntries(Object.entries(node.inputs).map(([operand, value]) => [operand, value.shape])),
    node.attributes,
  )
  const outputs: Record<string, Value> = {}
  for (const [operand, spec] of Object.entries(op.outputs)) {
    const value =
      node.outputs[operand] ??
      (saved.includes(operand) ? activation(`${node.name}.${operand}`, shapes[operand]!, spec.dtype) : undefined)
    if (value) outputs[operand] = value
  }
  return { ...node, outputs }
}

/** Backward nodes so far, and for every value the gradients found for it. */
class Tape {
  readonly nodes: Node[] = []
  readonly #contributions = new Map<Value, Value[]>()
  readonly #names: Set<string>

  constructor(names: Set<string>) {
    this.#names = names
  }

  has(value: Value): boolean {
    return this.#contributions.has(value)
  }

  contributions(value: Value): readonly Value[] {
    return this.#contributions.get(value) ?? []
  }

  visit(node: Node, loss: Value, active: ReadonlySet<Value>): void {
    const op = opByName(node.op)
    if (!op.vjp)
      throw new PlanError('ERR_GRAPH', `${node.op} "${node.name}" cannot be differentiated`, { node: node.name })
    const main = mainOutput(node)
    // A loss is a root: its VJP takes its own gradient to be 1 and reads no dy.
    const dy = main === loss ? loss : this.total(main)
    const needs = needsOf(node, active)
    const gradients = op.vjp({
      node,
      dy,
      needs,
      emit: (made, inputs, attributes, want) => this.emit(`${node.name}.backward`, made, inputs, attributes, want),
    })
    for (const [operand, gradient] of Object.entries(gradients)) {
      const value = node.inputs[operand]
      if (!value || !needs[operand]) continue
      const list = this.#contributions.get(value)
      if (list) list.push(gradient)
      else this.#contributions.set(value, [gradient])
    }
  }

  /** The sum of a value's gradients; one alone is itself. */
  total(value: Value): Value {
    const list = this.#contributions.get(value)!
    while (list.length > 1) {
      const [a, b] = [list.shift()!, list.shift()!]
      list.unshift(this.emit(`${value.name}.gradient`, add, { a, b }).y!)
    }
    return list[0]!
  }

  emit(
    name: string,
    op: OpDef,
    inputs: Record<string, Value | undefined>,
    attributes: Readonly<Record<string, AttributeValue>> = {},
    want: readonly string[] = [],
  ): Record<string, Value> {
    let unique = name
    for (let i = 2; this.#names.has(unique); i++) unique = `${name}.${i}`
    this.#names.add(unique)
    const node = makeNode(op, unique, inputs, attributes, want)
    this.nodes.push(node)
    return { ...node.outputs }
  }
}

/** Lets the nodes that made the parameters' gradients write the flat gradient buffer itself. */
function finish(graph: Graph, forward: readonly Node[], tape: Tape, trained: ReadonlySet<Value>): Backward {
  const gradients = new Map<Value, Value>()
  const replacement = new Map<Value, Value>()
  for (const parameter of trained) {
    // Tables do not know their rows from the operands of their backward op, so parts of a sum take the shape here.
    for (const part of tape.contributions(parameter)) {
      if (tape.contributions(parameter).length > 1) replacement.set(part, { ...part, shape: parameter.shape })
    }
  }
  const reshaped = tape.nodes.map((node) => replaceValues(node, replacement))
  tape.nodes.splice(0, tape.nodes.length, ...reshaped)
  for (const parameter of trained) {
    const parts = tape.contributions(parameter)
    if (parts.length === 0) {
      throw new PlanError('ERR_GRAPH', `parameter "${parameter.name}" does not reach the loss`, {
        parameter: parameter.name,
      })
    }
    const gradient: Value = { name: parameter.name, dtype: 'f32', shape: parameter.shape, storage: 'gradient' }
    gradients.set(parameter, gradient)
    if (parts.length === 1) replacement.set(parts[0]!, gradient)
    else
      replacement.set(
        sum(
          tape,
          parameter,
          parts.map((part) => replacement.get(part)!),
        ),
        gradient,
      )
  }
  const nodes = [...forward, ...tape.nodes.map((node) => replaceValues(node, replacement))]
  return { graph: { nodes, outputs: graph.outputs }, gradients }
}

function sum(tape: Tape, parameter: Value, parts: readonly Value[]): Value {
  return parts.reduce((a, b) => tape.emit(`${parameter.name}.gradient`, add, { a, b }).y!)
}
