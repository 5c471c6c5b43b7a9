import type { Graph, Node, Value } from './graph.js'

/** The node again, reading and writing other values. */
export function replaceValues(node: Node, replacement: ReadonlyMap<Value, Value>): Node {
  return { ...node, inputs: swap(node.inputs, replacement), outputs: swap(node.outputs, replacement) }
}

/** The graph again with every use of each key replaced by its value, in nodes and outputs. */
export function replaceInGraph(graph: Graph, replacement: ReadonlyMap<Value, Value>): Graph {
  return {
    nodes: graph.nodes.map((node) => replaceValues(node, replacement)),
    outputs: swap(graph.outputs, replacement),
  }
}

/**
 * A pass over the nodes in order. `rewrite` sees each node with all replacements so far applied and returns the nodes
 * that stand in its place; `replace(old, new)` redirects everything that follows, and the graph's outputs.
 */
export function rewriteNodes(
  graph: Graph,
  rewrite: (node: Node, replace: (from: Value, to: Value) => void) => readonly Node[],
): Graph {
  const replacement = new Map<Value, Value>()
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const current = { ...node, inputs: swap(node.inputs, replacement) }
    nodes.push(...rewrite(current, (from, to) => replacement.set(from, to)))
  }
  return { nodes, outputs: swap(graph.outputs, replacement) }
}

/** All values of one storage, in order of first use. */
export function valuesOf(graph: Graph, storage: Value['storage']): Value[] {
  const found = new Set<Value>()
  for (const node of graph.nodes) {
    for (const value of [...Object.values(node.inputs), ...Object.values(node.outputs)]) {
      if (value.storage === storage) found.add(value)
    }
  }
  return [...found]
}

/** A node's only output, or the one called so. */
export function output(node: Node, name = 'y'): Value {
  const value = node.outputs[name]
  if (!value) throw new Error(`${node.op} "${node.name}" has no output "${name}"`)
  return value
}

function swap(
  values: Readonly<Record<string, Value>>,
  replacement: ReadonlyMap<Value, Value>,
): Readonly<Record<string, Value>> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, resolve(value, replacement)]))
}

/** Follows chains: a replacement may itself be replaced later. */
function resolve(value: Value, replacement: ReadonlyMap<Value, Value>): Value {
  let current = value
  for (let next = replacement.get(current); next && next !== current; next = replacement.get(current)) current = next
  return current
}
