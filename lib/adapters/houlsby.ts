import { OptionError } from '../errors.js'
import type { Graph, Node, Value } from '../ir/graph.js'
import { makeNode } from '../ops/define.js'
import { adapter } from '../ops/adapter.js'
import { layerOf, layersOf } from './layers.js'
import type { Initial } from './init.js'

/** Activations an adapter may have. */
export const adapterActivations = ['gelu_tanh', 'gelu', 'relu', 'silu', 'tanh'] as const
export type AdapterActivation = (typeof adapterActivations)[number]

export interface AdapterOptions {
  /** Bottleneck width M. @default 64 */
  readonly size?: number
  /** @default 'gelu_tanh', as in google-research/adapter-bert */
  readonly activation?: AdapterActivation
  /** Standard deviation of the matrices before they are cut at two of it. @default 1e-2 */
  readonly initialStd?: number
  /** Which transformer layers get adapters, counted from 0. @default 'all' */
  readonly layers?: 'all' | readonly number[]
}

export interface AdapterReport {
  /** Layers that have adapters now. */
  readonly layers: readonly number[]
  /** Name and start of every new tensor. */
  readonly initial: ReadonlyMap<Value, Initial>
  /** Scalars in all adapters: 2MC + C + M each. */
  readonly parameters: number
}

/**
 * Puts an adapter into both sub-layers of the chosen layers: after the attention output projection and after the second
 * feed-forward projection, before residual and LayerNorm (Houlsby et al. 2019 §2.1, figure 2). Each
 * residual_layer_norm of a chosen layer becomes one fused adapter node; weights are new parameters called
 * `layer.I.{attention,ffn}.adapter.{down,up}.{weight,bias}`. Start near the identity: matrices small, biases 0.
 *
 * @param graph after `fuseResiduals`
 * @throws {OptionError} ERR_OPTION for a layer the model does not have
 */
export function insertAdapters(graph: Graph, options: AdapterOptions = {}): { graph: Graph; report: AdapterReport } {
  const { size = 64, activation = 'gelu_tanh', initialStd = 1e-2, layers = 'all' } = options
  const present = layersOf(graph)
  const chosen = layers === 'all' ? present : [...new Set(layers)].sort((a, b) => a - b)
  for (const layer of chosen) {
    if (!present.includes(layer)) {
      throw new OptionError(
        'ERR_OPTION',
        `option "adapter.layers" names layer ${layer}; the model has layers 0 to ${present.length - 1}`,
        {
          option: 'adapter.layers',
          got: layers,
          expected: `layers 0 to ${present.length - 1}`,
        },
      )
    }
  }
  const initial = new Map<Value, Initial>()
  const nodes = graph.nodes.map((node) => {
    const layer = layerOf(node)
    const fits = node.op === 'residual_layer_norm' && layer !== undefined && chosen.includes(layer)
    return fits ? withAdapter(node, size, activation, initialStd, initial) : node
  })
  const parameters = [...initial.keys()].reduce(
    (sum, value) => sum + value.shape.reduce<number>((n, d) => n * Number(d), 1),
    0,
  )
  return { graph: { nodes, outputs: graph.outputs }, report: { layers: chosen, initial, parameters } }
}

function withAdapter(node: Node, size: number, activation: string, std: number, initial: Map<Value, Initial>): Node {
  const prefix = `${node.name.replace(/\.layer_norm$/, '')}.adapter`
  const width = Number(node.inputs.gamma!.shape[0])
  const parameter = (name: string, shape: readonly number[], start: Initial): Value => {
    const value: Value = { name: `${prefix}.${name}`, dtype: 'f32', shape, storage: 'parameter' }
    initial.set(value, start)
    return value
  }
  const normal: Initial = { kind: 'truncatedNormal', std }
  const { x, residual, gamma, beta } = node.inputs
  const { epsilon = 1e-12, dropout = 0, rng = 0 } = node.attributes
  const made = makeNode(
    adapter,
    prefix,
    {
      x,
      residual,
      down_w: parameter('down.weight', [size, width], normal),
      down_b: parameter('down.bias', [size], { kind: 'zero' }),
      up_w: parameter('up.weight', [width, size], normal),
      up_b: parameter('up.bias', [width], { kind: 'zero' }),
      gamma,
      beta,
    },
    { activation, epsilon, dropout, rng },
  )
  return { ...made, outputs: { y: node.outputs.y! } }
}
