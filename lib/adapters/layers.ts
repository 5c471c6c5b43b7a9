import type { Graph, Node } from '../ir/graph.js'

/** The transformer layer a node or value belongs to, by its name `layer.I. ...`; undefined for embeddings and head. */
export function layerOf(named: Pick<Node, 'name'>): number | undefined {
  const found = /^layer\.(\d+)\./.exec(named.name)
  return found ? Number(found[1]) : undefined
}

/** Layers of the encoder, in order. */
export function layersOf(graph: Graph): number[] {
  const found = new Set<number>()
  for (const node of graph.nodes) {
    const layer = layerOf(node)
    if (layer !== undefined) found.add(layer)
  }
  return [...found].sort((a, b) => a - b)
}
