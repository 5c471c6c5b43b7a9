/** A run's tensors as an exported graph needs them. */

import type { Pool } from '../heads/define.js'
import type { TaskRecord } from '../data/tasks/index.js'
import type { Tensor } from '../train/tensors.js'
import type { HeadShape } from './head.js'
import type { ExportedRun, Tensors } from './target.js'

/** The range that a regression's head was trained on as [0, 1]; undefined for other tasks. */
export function rangeOf({ kind, minimum, maximum }: TaskRecord): { minimum: number; maximum: number } | undefined {
  return kind === 'regression' ? { minimum: minimum as number, maximum: maximum as number } : undefined
}

/** With the range of a regression in its head, so that it gives values in the units of the training data. */
export function readyTensors({ record, tensors }: ExportedRun): Tensors {
  const range = rangeOf(record.task)
  if (!range) return tensors
  const { minimum, maximum } = range
  const scaled = ({ shape, data }: Tensor, shift: number): Tensor => ({
    shape,
    data: data.map((value) => value * (maximum - minimum) + shift),
  })
  return new Map([
    ...tensors,
    ['head.weight', scaled(tensors.get('head.weight')!, 0)],
    ['head.bias', scaled(tensors.get('head.bias')!, minimum)],
  ])
}

export function headOf({ record, task }: ExportedRun): HeadShape {
  return { kind: task.kind, outputs: task.outputs, pool: record.options.head['pool'] as Pool }
}

/** Of the adapters; without any, what it is does not matter. */
export function activationOf({ record }: ExportedRun): string {
  const { adapter } = record.options
  return adapter ? (adapter['activation'] as string) : 'gelu_tanh'
}

/** Names of the head's outputs in order, for tasks that have such. */
export function labelsOf({ labels }: TaskRecord): readonly string[] | undefined {
  return Array.isArray(labels) ? (labels as string[]) : undefined
}
