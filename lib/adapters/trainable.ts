import { OptionError } from '../errors.js'
import type { Graph, Node, Value } from '../ir/graph.js'
import { replaceInGraph, valuesOf } from '../ir/rewrite.js'
import { layerOf, layersOf } from './layers.js'

export const trainableParts = ['adapters', 'layerNorm', 'head'] as const
export type TrainablePart = (typeof trainableParts)[number]

/**
 * What is trained: parts of the adapter method, the whole encoder, or its top layers. The last two mean no adapters
 * and train the pooler where it is used.
 */
export type Trainable = readonly TrainablePart[] | 'all' | { readonly topLayers: number }

export interface Selection {
  readonly graph: Graph
  /** Values of storage `parameter` that get gradients. Others (an untrained head) are only kept. */
  readonly trained: ReadonlySet<Value>
}

/**
 * Turns the frozen values that shall be trained into parameters that start from the backbone's content.
 *
 * @param graph the model with adapters and head
 * @param adapterLayers `adapter.layers`; where layers are chosen, LayerNorms below the lowest adapter stay frozen, so
 * that nothing below it needs a backward pass
 */
export function selectTrainable(
  graph: Graph,
  trainable: Trainable,
  adapterLayers: 'all' | readonly number[] = 'all',
): Selection {
  const chosen = new Set(chooseFrozen(graph, trainable, adapterLayers))
  const replacement = new Map<Value, Value>()
  for (const value of chosen) {
    // Layers that share a weight in the file are trained apart.
    const { sharedWith: _, ...own } = value
    replacement.set(value, { ...own, storage: 'parameter' })
  }
  const selected = replaceInGraph(graph, replacement)
  const trained = valuesOf(selected, 'parameter').filter(
    (value) => value.parts !== undefined || isTrainedNew(value, trainable),
  )
  return { graph: selected, trained: new Set(trained) }
}

/** New tensors belong to adapters or to the head. */
function isTrainedNew(value: Value, trainable: Trainable): boolean {
  if (trainable === 'all' || 'topLayers' in trainable) return true
  const part: TrainablePart = value.name.startsWith('head.') ? 'head' : 'adapters'
  return trainable.includes(part)
}

function chooseFrozen(graph: Graph, trainable: Trainable, adapterLayers: 'all' | readonly number[]): Value[] {
  if (trainable === 'all') {
    return valuesOf(graph, 'frozen').filter((value) => !isSingleRowTypes(value))
  }
  if ('topLayers' in trainable) {
    const lowest = lowestTopLayer(graph, trainable.topLayers)
    return frozenOf(graph.nodes.filter((node) => (layerOf(node) ?? -1) >= lowest || node.name === 'pooler'))
  }
  return trainable.includes('layerNorm') ? trainedLayerNorms(graph, adapterLayers) : []
}

function trainedLayerNorms(graph: Graph, adapterLayers: 'all' | readonly number[]): Value[] {
  const firstAdapter = graph.nodes.findIndex((node) => node.op === 'adapter')
  const from = adapterLayers === 'all' || firstAdapter < 0 ? 0 : firstAdapter
  const found = new Set<Value>()
  for (const node of graph.nodes.slice(from)) {
    const { gamma, beta } = node.inputs
    for (const value of [gamma, beta]) if (value?.storage === 'frozen') found.add(value)
  }
  return [...found]
}

function lowestTopLayer(graph: Graph, count: number): number {
  const layers = layersOf(graph)
  if (!Number.isInteger(count) || count < 1 || count > layers.length) {
    const expected = `a whole number from 1 to ${layers.length}, the layers of the model`
    throw new OptionError('ERR_OPTION', `option "trainable.topLayers" must be ${expected}, not ${count}`, {
      option: 'trainable.topLayers',
      got: count,
      expected,
    })
  }
  return layers[layers.length - count]!
}

function frozenOf(nodes: readonly Node[]): Value[] {
  return valuesOf({ nodes, outputs: {} }, 'frozen')
}

/** RoBERTa's table of one row adds the same vector to every token: position rows can learn it, so it stays. */
function isSingleRowTypes(value: Value): boolean {
  return value.name === 'embeddings.token_type.weight' && value.shape[0] === 1
}
