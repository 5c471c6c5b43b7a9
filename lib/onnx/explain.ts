import { OnnxImportError } from '../errors.js'
import { canonicalise } from './canonicalise.js'
import { Mismatch } from './fuse/pattern.js'
import { importEncoder } from './import.js'
import { describeNeighbourhood, describeOperator } from './neighbourhood.js'
import { linkNetwork, type Network, type Quantity } from './network.js'
import type { OnnxModel } from './schema.js'

/** Why a file does not lift: the nearest match, the node that broke it, and the graph around it. */
export interface ImportExplanation {
  readonly code: string
  readonly message: string
  /** Layers that were understood before. */
  readonly layers: number
  /** What the node was taken for, such as `layer 0, self-attention: scale and mask of the scores`. */
  readonly pattern: string
  /** What of that pattern had been found by then. */
  readonly reached: readonly string[]
  /** Name of the node in the file, or of a value that no node makes; null where the error is of no one node. */
  readonly node: string | null
  readonly operator: string | null
  readonly expected: string
  /** What the file has that cannot be lifted yet, such as `pre-LayerNorm layers`; null where it is of no known kind. */
  readonly missing: string | null
  /** The node as it stands in the graph. */
  readonly found: string | null
  /** A line a node, a few up and down; `>` marks the node. B is the batch, S the sequence, `?` a size that is not known. */
  readonly graph: readonly string[]
  /** What made the file, such as `pytorch 2.9.0`. */
  readonly producer: string
  /** Version of the ai.onnx operators. */
  readonly opset: number
  /** How many nodes there are of each operator, the most frequent first. */
  readonly operators: Readonly<Record<string, number>>
}

/** What is matched one after the other, by the `progress` of a Mismatch. */
const steps = [
  'embeddings or a layer',
  'embeddings: sum of looked-up rows',
  'self-attention: values',
  'self-attention: softmax of the scores, or feed-forward: its activation',
  'self-attention: queries',
  'self-attention: keys',
  'self-attention: scale and mask of the scores',
  'self-attention: probabilities times values',
  'self-attention: heads put together',
  'self-attention: one input of queries, keys and values',
  'the layer as a whole',
]

/** @returns undefined where the file lifts */
export function explainImport(model: OnnxModel): ImportExplanation | undefined {
  try {
    importEncoder(model)
    return undefined
  } catch (error) {
    if (!(error instanceof OnnxImportError)) throw error
    return error.cause instanceof Mismatch ? fromMismatch(model, error, error.cause) : fromError(model, error)
  }
}

function fromMismatch(model: OnnxModel, error: OnnxImportError, mismatch: Mismatch): ImportExplanation {
  const { value, expected, progress, layers } = mismatch
  const step = steps[progress] ?? steps.at(-1)!
  return {
    ...basics(model, error),
    layers,
    pattern: progress === 1 ? step : `layer ${layers}, ${step}`,
    reached: progress > 1 ? steps.slice(2, progress) : [],
    expected,
    ...(value ? place(value) : {}),
  }
}

/** Errors that name their node, or none. */
function fromError(model: OnnxModel, error: OnnxImportError): ImportExplanation {
  const value = findValue(model, error.details.node)
  return { ...basics(model, error), ...(value ? place(value) : {}) }
}

function basics(model: OnnxModel, { code, message, details }: OnnxImportError): ImportExplanation {
  const counts = new Map<string, number>()
  for (const { opType = '', domain } of model.graph?.node ?? []) {
    const type = domain && domain !== 'ai.onnx' ? `${domain}:${opType}` : opType
    counts.set(type, (counts.get(type) ?? 0) + 1)
  }
  const main = model.opsetImport.find(({ domain }) => !domain || domain === 'ai.onnx')
  return {
    code,
    message,
    layers: 0,
    pattern: 'none',
    reached: [],
    node: typeof details.node === 'string' ? details.node : null,
    operator: typeof details.operator === 'string' ? details.operator : null,
    expected: String(details.expected ?? 'a BERT-like text encoder'),
    missing: typeof details.missing === 'string' ? details.missing : null,
    found: null,
    graph: [],
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(' ') || 'unknown',
    opset: Number(main?.version ?? 0),
    operators: Object.fromEntries([...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))),
  }
}

function place(value: Quantity): Pick<ImportExplanation, 'node' | 'operator' | 'found' | 'graph'> {
  const { producer } = value
  return {
    node: producer?.name ?? value.name,
    operator: producer?.type ?? null,
    found: producer ? describeOperator(producer) : `"${value.name}", which no node makes`,
    graph: describeNeighbourhood(value),
  }
}

/** The first result of the node of this name, with as much known about it as can be found out. */
function findValue(model: OnnxModel, name: unknown): Quantity | undefined {
  if (typeof name !== 'string') return undefined
  for (const read of [() => canonicalise(model).network, () => linkNetwork(model)]) {
    let network: Network
    try {
      network = read()
    } catch {
      continue
    }
    const operator = network.operators.find((one) => one.name === name || one.outputs.some((out) => out?.name === name))
    const value = operator?.outputs.find(Boolean) ?? network.names.get(name)
    if (value) return value
  }
  return undefined
}
