import { PlanError } from '../errors.js'
import type { Graph, Node } from '../ir/graph.js'
import { rewriteNodes } from '../ir/rewrite.js'
import { makeNode } from '../ops/define.js'
import { dropout } from '../ops/dropout.js'
import { layerOf } from './layers.js'

/** Probabilities of dropping, each in [0, 1). */
export interface DropoutRates {
  /** Dense outputs before the adapter or residual, and the embeddings. */
  readonly hidden: number
  /** Attention probabilities after the softmax. */
  readonly attention: number
  /** What the head reads. */
  readonly head: number
}

/**
 * Puts dropout where BERT has it: after the embeddings' LayerNorm, on attention probabilities, on each dense output
 * before adapter and residual, and before the head. Every stream of random numbers has an id that depends on the
 * place alone, so adapters or other rates do not move the others' numbers.
 */
export function applyDropout(graph: Graph, rates: DropoutRates): Graph {
  const embeddingsEnd = lastOfEmbeddings(graph)
  return rewriteNodes(graph, (node, replace) => {
    if (node.op === 'attention') return [rates.attention > 0 ? withRate(node, rates.attention) : node]
    if (node.op === 'adapter' || node.op === 'residual_layer_norm') {
      return [rates.hidden > 0 ? withRate(node, rates.hidden) : node]
    }
    if (node.name === embeddingsEnd && rates.hidden > 0) {
      const x = node.outputs.y!
      const drop = makeNode(dropout, `${node.name}.dropout`, { x }, { dropout: rates.hidden, rng: embeddingsId })
      replace(x, drop.outputs.y!)
      return [node, drop]
    }
    if (node.name === 'head' && rates.head > 0) {
      const drop = makeNode(dropout, 'head.dropout', { x: node.inputs.x }, { dropout: rates.head, rng: headId })
      return [drop, { ...node, inputs: { ...node.inputs, x: drop.outputs.y! } }]
    }
    return [node]
  })
}

/** Streams 1 and 2 are the ends of the model, layers follow from 16 on with room for four places each. */
const embeddingsId = 1
const headId = 2

function withRate(node: Node, rate: number): Node {
  return { ...node, attributes: { ...node.attributes, dropout: rate, rng: layerId(node) } }
}

function layerId(node: Node): number {
  const place = node.op === 'attention' ? 0 : node.name.includes('.attention.') ? 1 : 2
  const layer = layerOf(node)
  if (layer === undefined) {
    throw new PlanError('ERR_GRAPH', `${node.op} "${node.name}" belongs to no layer, so its dropout has no stream`, {
      node: node.name,
    })
  }
  return 16 + 4 * layer + place
}

/** The embeddings' LayerNorm, or the lookup in a model without one. */
function lastOfEmbeddings(graph: Graph): string | undefined {
  const norm = graph.nodes.find((node) => node.op === 'layer_norm' && layerOf(node) === undefined)
  return (norm ?? graph.nodes.find((node) => node.op === 'embedding'))?.name
}
