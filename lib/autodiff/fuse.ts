import type { Graph, Node, Value } from '../ir/graph.js'
import { consumers, producers } from '../ir/graph.js'

/**
 * Folds what follows a product with a frozen or trained weight into its epilogue, sparing a pass over memory:
 * mul(linear_dx(dy, w), other) and add(linear_dx(dy, w), other) become linear_dx(dy, w, other) at the place of the
 * second node, where all its operands exist. Only products with one reader and no epilogue yet.
 */
export function fuseEpilogues(graph: Graph): Graph {
  const madeBy = producers(graph)
  const readBy = consumers(graph)
  const results = new Set(Object.values(graph.outputs))
  const gone = new Set<Node>()
  const fused = new Map<Node, Node>()

  for (const node of graph.nodes) {
    if (node.op !== 'mul' && node.op !== 'add') continue
    const { a, b } = node.inputs
    if (!a || !b || a === b) continue
    for (const [product, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const maker = madeBy.get(product)
      if (!maker || !isOpen(maker, product)) continue
      gone.add(maker)
      fused.set(node, {
        op: 'linear_dx',
        name: maker.name,
        inputs: { dy: maker.inputs.dy!, w: maker.inputs.w!, other },
        outputs: { dx: node.outputs.y! },
        attributes: { epilogue: node.op },
      })
      break
    }
  }
  return {
    nodes: graph.nodes.filter((node) => !gone.has(node)).map((node) => fused.get(node) ?? node),
    outputs: graph.outputs,
  }

  function isOpen(maker: Node, product: Value): boolean {
    return (
      maker.op === 'linear_dx' &&
      maker.attributes.epilogue === 'none' &&
      !gone.has(maker) &&
      product.storage === 'activation' &&
      readBy.get(product)?.length === 1 &&
      !results.has(product)
    )
  }
}
