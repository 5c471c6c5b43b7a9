import { OptionError } from '../errors.js'
import { inputs, type DType, type Graph, type Node, type Shape, type Value } from '../ir/graph.js'
import type { TaskKind } from '../kinds.js'
import { makeNode, type OpDef } from '../ops/define.js'
import { linear } from '../ops/linear.js'
import { pool } from '../ops/pool.js'

export const pools = ['cls', 'mean', 'pooler'] as const
/** What the head of a sequence task reads: first token, mean of tokens, or the model's own pooler over the first. */
export type Pool = (typeof pools)[number]

/** The dense layer that BERT was pre-trained with over its first token; weight [C, C], bias [C]. */
export interface Pooler {
  readonly weight: Value
  readonly bias: Value
}

/** A task's head and loss: one of these a file. */
export interface HeadDef {
  readonly kind: TaskKind
  /** True where the head reads every token, so that there is no pooling. */
  readonly perToken: boolean
  /** The width of logits where the task alone says it. */
  readonly outputs?: number
  /** Labels of a batch as the loss reads them. */
  labels(outputs: number): { readonly dtype: DType; readonly shape: Shape }
  readonly loss: OpDef
  /** The loss's operands from logits and labels. */
  operands(logits: Value, labels: Value): Record<string, Value>
}

export interface HeadOptions {
  /** Width K of the logits. */
  readonly outputs: number
  /** @default 'cls' */
  readonly pool?: Pool
  /** The imported pooler, for `pool: 'pooler'`. */
  readonly pooler?: Pooler | undefined
}

export interface Head {
  /** The encoder with pooling and head; outputs `hidden` and `logits` f32[B,K] or f32[T,K]. */
  readonly graph: Graph
  /** The same with the loss; outputs `loss` f32[1] too. */
  readonly withLoss: (graph: Graph) => Graph
  /** Batch input that the loss reads. */
  readonly labels: Value
  /** `head.weight` [K, C] and `head.bias` [K]: new parameters. */
  readonly weight: Value
  readonly bias: Value
}

/**
 * Puts a task's head on an encoder: pooling where the task is about whole sequences, then one linear layer.
 * @throws {OptionError} ERR_OPTION where the pooler is asked for and the file has none
 */
export function attachHead(encoder: Graph, head: HeadDef, options: HeadOptions): Head {
  const { outputs, pool: pooling = 'cls', pooler } = options
  const hidden = encoder.outputs.hidden!
  const width = Number(hidden.shape[1])
  const nodes: Node[] = [...encoder.nodes]
  const append = (node: Node): Value => {
    nodes.push(node)
    return node.outputs.y!
  }

  let features = hidden
  if (!head.perToken) {
    const mode = pooling === 'mean' ? 'mean' : 'cls'
    features = append(makeNode(pool, 'pool', { x: hidden, cu: inputs.cu }, { mode }))
    if (pooling === 'pooler') {
      const { weight: w, bias: b } = needPooler(pooler)
      features = append(makeNode(linear, 'pooler', { x: features, w, b }, { activation: 'tanh' }))
    }
  }
  const weight: Value = { name: 'head.weight', dtype: 'f32', shape: [outputs, width], storage: 'parameter' }
  const bias: Value = { name: 'head.bias', dtype: 'f32', shape: [outputs], storage: 'parameter' }
  const logits = append(makeNode(linear, 'head', { x: features, w: weight, b: bias }, { activation: 'none' }))
  const labels: Value = { name: 'labels', storage: 'input', ...head.labels(outputs) }
  return {
    graph: { nodes, outputs: { ...encoder.outputs, logits } },
    withLoss: (graph) => {
      const node = makeNode(head.loss, 'loss', head.operands(graph.outputs.logits!, labels))
      return { nodes: [...graph.nodes, node], outputs: { ...graph.outputs, loss: node.outputs.loss! } }
    },
    labels,
    weight,
    bias,
  }
}

function needPooler(pooler: Pooler | undefined): Pooler {
  if (pooler) return pooler
  throw new OptionError(
    'ERR_OPTION',
    'option "head.pool" is "pooler", but the model file holds no pooler: use "cls" or "mean", or a file that was exported with one',
    { option: 'head.pool', got: 'pooler', expected: 'cls or mean' },
  )
}
