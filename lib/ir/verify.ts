import { PlanError } from '../errors.js'
import type { Graph, Node, Storage, Value } from './graph.js'

/**
 * What a graph is after each stage.
 * - `imported`: inference over frozen weights alone.
 * - `model`: with adapters and head; parameters appear.
 * - `shared`: inference for several tasks at once; what was a parameter is a weight of a row's task.
 * - `backward`: with backward nodes; gradients appear, each written once.
 * - `planned`: with the optimizer, which alone writes parameters and moments.
 */
export type Stage = 'imported' | 'model' | 'shared' | 'backward' | 'planned'

const readable: Readonly<Record<Stage, readonly Storage[]>> = {
  imported: ['input', 'frozen', 'activation'],
  model: ['input', 'frozen', 'parameter', 'activation'],
  shared: ['input', 'frozen', 'task', 'activation'],
  backward: ['input', 'frozen', 'parameter', 'activation', 'gradient'],
  planned: ['input', 'frozen', 'parameter', 'activation', 'gradient', 'moment1', 'moment2'],
}

const writable: Readonly<Record<Stage, readonly Storage[]>> = {
  imported: ['activation'],
  model: ['activation'],
  shared: ['activation'],
  backward: ['activation', 'gradient'],
  planned: ['activation', 'gradient', 'parameter', 'moment1', 'moment2'],
}

/**
 * Checks the laws of a stage: values are written before they are read, once, and live only where the stage allows;
 * no two values share a name within a storage; frozen weights carry their content. Returns the graph.
 * @throws {PlanError} ERR_GRAPH naming node and value: a bug of the pass before, never of the user
 */
export function verify(graph: Graph, stage: Stage): Graph {
  const written = new Set<Value>()
  const names = new Map<string, Value>()
  for (const node of graph.nodes) {
    for (const [operand, value] of Object.entries(node.inputs)) checkRead(node, operand, value, stage, written, names)
    for (const [operand, value] of Object.entries(node.outputs)) {
      const where = `${node.op} "${node.name}", output "${operand}"`
      if (!writable[stage].includes(value.storage))
        fail(`${where} writes ${value.storage} "${value.name}"`, stage, node)
      if (written.has(value)) fail(`${where} writes "${value.name}" a second time`, stage, node)
      checkName(node, value, stage, names)
      written.add(value)
    }
  }
  for (const [name, value] of Object.entries(graph.outputs)) {
    if (value.storage === 'activation' && !written.has(value)) fail(`output "${name}" is never written`, stage)
  }
  return graph
}

function checkRead(
  node: Node,
  operand: string,
  value: Value,
  stage: Stage,
  written: Set<Value>,
  names: Map<string, Value>,
): void {
  const where = `${node.op} "${node.name}", operand "${operand}"`
  if (!readable[stage].includes(value.storage)) fail(`${where} reads ${value.storage} "${value.name}"`, stage, node)
  if (value.storage === 'activation' && !written.has(value))
    fail(`${where} reads "${value.name}" before it is written`, stage, node)
  if (value.storage === 'frozen' && !value.parts) fail(`${where}: frozen "${value.name}" has no content`, stage, node)
  checkName(node, value, stage, names)
}

function checkName(node: Node, value: Value, stage: Stage, names: Map<string, Value>): void {
  const key = `${value.storage} ${value.name}`
  const before = names.get(key)
  if (before && before !== value)
    fail(`${node.op} "${node.name}": two values are called ${value.storage} "${value.name}"`, stage, node)
  names.set(key, value)
}

function fail(what: string, stage: Stage, node?: Node): never {
  throw new PlanError('ERR_GRAPH', `the ${stage} graph is not well formed: ${what}`, { stage, node: node?.name })
}
