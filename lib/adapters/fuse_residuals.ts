import { consumers, producers, type Graph, type Node, type Value } from '../ir/graph.js'
import { makeNode } from '../ops/define.js'
import { residualLayerNorm } from '../ops/residual_layer_norm.js'

/**
 * add + layer_norm -> residual_layer_norm, wherever the sum has no other reader. Of the two summands x is the one made
 * last, the sub-layer's dense output: the residual was there before the sub-layer began.
 */
export function fuseResiduals(graph: Graph): Graph {
  const madeBy = producers(graph)
  const readBy = consumers(graph)
  const order = new Map(graph.nodes.map((node, i) => [node, i]))
  const gone = new Set<Node>()
  const fused = new Map<Node, Node>()
  for (const node of graph.nodes) {
    const sum = node.op === 'layer_norm' ? madeBy.get(node.inputs.x!) : undefined
    if (
      sum?.op !== 'add' ||
      readBy.get(sum.outputs.y!)?.length !== 1 ||
      Object.values(graph.outputs).includes(sum.outputs.y!)
    )
      continue
    const [x, residual] = byAge(sum.inputs.a!, sum.inputs.b!)
    const { gamma, beta } = node.inputs
    const { epsilon = 1e-12 } = node.attributes
    const made = makeNode(residualLayerNorm, node.name, { x, residual, gamma, beta }, { epsilon, dropout: 0, rng: 0 })
    gone.add(sum)
    // The result keeps its identity, so nothing else changes.
    fused.set(node, { ...made, outputs: { y: node.outputs.y! } })
  }
  return {
    nodes: graph.nodes.filter((node) => !gone.has(node)).map((node) => fused.get(node) ?? node),
    outputs: graph.outputs,
  }

  function byAge(a: Value, b: Value): [Value, Value] {
    const age = (value: Value) => order.get(madeBy.get(value)!) ?? -1
    return age(a) > age(b) ? [a, b] : [b, a]
  }
}
