/** The tensors of several tasks as one set, of which each row of a batch picks its own. */

import { ExportError } from '../errors.js'
import type { AdapterTensor } from '../formats/onnx_adapter.js'
import { heads } from '../heads/index.js'
import { activationOf, headOf, readyTensors } from './ready.js'
import type { ExportedRun, Tensors } from './target.js'
import { isBackboneWeight } from './weights.js'

/** Input that has, for each task, how many of the outputs are its own. */
export const labelCounts = 'head.labels'
/** Input that has the task of each row. */
export const taskIndex = 'task_index'

/** Of an output that a task has not: as good as impossible, and still a number. */
const impossible = -1e30

/**
 * Refuses runs that cannot share a graph of which only tensors change.
 * @throws ExportError ERR_EXPORT_UNSUPPORTED
 */
export function checkAlike(runs: readonly ExportedRun[]): void {
  const [first] = runs
  for (const run of runs) {
    if ([...run.tensors.keys()].some(isBackboneWeight)) {
      throw unlike(`${run.name} has trained weights of the backbone itself, which are no inputs: export it to onnx`)
    }
    const other = odd(first!.tensors, run.tensors) ?? odd(run.tensors, first!.tensors)
    if (other !== undefined)
      throw unlike(`of ${first!.name} and ${run.name} only one has a tensor "${other}": export them apart`)
    for (const [what, of] of Object.entries(structure)) {
      const [ours, theirs] = [of(first!), of(run)]
      if (ours !== theirs)
        throw unlike(
          `${first!.name} and ${run.name} differ in their ${what} (${ours} and ${theirs}): export them apart`,
        )
    }
  }
}

/** A tensor that the other one lacks. */
function odd(one: Tensors, other: Tensors): string | undefined {
  return [...one.keys()].find((name) => !other.has(name))
}

/** What the graph is made of, rather than its tensors. */
const structure: Readonly<Record<string, (run: ExportedRun) => string>> = {
  head: (run) => {
    const { kind, pool } = headOf(run)
    return heads[kind].perToken ? kind : `linear layer over ${pool}`
  },
  'activation of adapters': (run) => (hasAdapters(run) ? activationOf(run) : 'none'),
}

function hasAdapters({ tensors }: ExportedRun): boolean {
  return [...tensors.keys()].some((name) => name.includes('.adapter.'))
}

function unlike(reason: string): ExportError {
  return new ExportError('ERR_EXPORT_UNSUPPORTED', reason, { expected: 'runs that differ in their tensors alone' })
}

/** Sizes that may differ from task to task have names. */
export function inputShape(name: string, shape: readonly number[]): readonly (number | string)[] {
  if (name.startsWith('head.')) return ['labels', ...shape.slice(1)]
  if (/\.adapter\.down\./.test(name)) return ['adapter_size', ...shape.slice(1)]
  if (name.endsWith('.adapter.up.weight')) return [shape[0]!, 'adapter_size']
  return shape
}

/**
 * Tensors of all tasks, [tasks, ...]: narrower adapters are filled up with zeros, which add nothing; narrower heads give
 * -1e30 for outputs that are not theirs, and `head.labels` [tasks] says how many are.
 */
export function stackTensors(runs: readonly ExportedRun[]): Map<string, AdapterTensor> {
  const all = runs.map(readyTensors)
  const stacked = new Map<string, AdapterTensor>()
  for (const name of all[0]!.keys()) stacked.set(name, stackOne(all, name))
  const counts = BigInt64Array.from(runs, ({ task }) => BigInt(task.outputs))
  stacked.set(labelCounts, { shape: [runs.length], data: counts })
  return stacked
}

function stackOne(all: readonly Tensors[], name: string): AdapterTensor {
  const tensors = all.map((each) => each.get(name)!)
  const widest = tensors[0]!.shape.map((_, axis) => Math.max(...tensors.map(({ shape }) => shape[axis]!)))
  const [rows = 1, columns = 1] = widest
  const size = rows * columns
  const data = new Float32Array(size * tensors.length).fill(name === 'head.bias' ? impossible : 0)
  for (const [task, { shape, data: values }] of tensors.entries()) {
    const [count = 1, width = 1] = shape
    for (let r = 0; r < count; r++) data.set(values.subarray(r * width, (r + 1) * width), task * size + r * columns)
  }
  return { shape: [tensors.length, ...widest], data }
}
