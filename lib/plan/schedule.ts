import type { Graph, Node, Value } from '../ir/graph.js'
import { opByName } from '../ops/index.js'

/** A named program of a session: what `run(entry, ...)` does for each batch. */
export interface Entry {
  readonly name: string
  /** Nodes in the order they run. */
  readonly nodes: readonly Node[]
  readonly loss?: Value | undefined
  readonly norm?: Value | undefined
  /** Copied out after each batch. */
  readonly output?: Value | undefined
  /** True where a run advances the parameters. */
  readonly updates: boolean
}

/**
 * The nodes of a graph that an entry's results need, or that write outside the arena (gradients, parameters), in the
 * graph's own order: gradients come right after the values they consume, which is also what keeps few values alive.
 * Optional outputs nobody reads are dropped.
 */
export function schedule(graph: Graph, results: readonly Value[]): Node[] {
  const read = new Set(results)
  const kept: Node[] = []
  for (const node of [...graph.nodes].reverse()) {
    const needed = Object.values(node.outputs).some((value) => read.has(value) || value.storage !== 'activation')
    if (!needed) continue
    kept.push(withoutUnread(node, read))
    for (const value of Object.values(node.inputs)) read.add(value)
  }
  return kept.reverse()
}

function withoutUnread(node: Node, read: ReadonlySet<Value>): Node {
  const { outputs } = opByName(node.op)
  const kept = Object.entries(node.outputs).filter(
    ([operand, value]) => !outputs[operand]?.optional || value.storage !== 'activation' || read.has(value),
  )
  return { ...node, outputs: Object.fromEntries(kept) }
}
