import { elements } from '../ops/shapes.js'
import { table } from '../table.js'
import { alignedBytes } from './arena.js'
import { weightUses, type Plan } from './plan.js'
import { elementBytes, type Value } from '../ir/graph.js'

/** Bytes by kind, for `inspect --plan` and `bench`. */
export interface PlanReport {
  readonly capacity: { readonly tokens: number; readonly sequences: number }
  readonly bytes: {
    /** Frozen weights packed for y = x·Wᵀ. */
    readonly weightsForward: number
    /** The same weights packed for dx = dy·W, only those the backward pass reaches. */
    readonly weightsBackward: number
    /** Frozen tables and vectors, held as they are. */
    readonly weightsRaw: number
    readonly parameters: number
    readonly gradients: number
    readonly moments: number
    /** The arena, and its part that waits for the backward pass when the loss is computed. */
    readonly activations: number
    readonly saved: number
    /** Most bytes of activations alive at once: what no arena can be below. */
    readonly activationsLowerBound: number
  }
  readonly entries: readonly {
    readonly name: string
    readonly ops: number
    readonly bytes: number
    readonly lowerBound: number
  }[]
}

export function planReport(plan: Plan): PlanReport {
  const uses = weightUses(plan.entries.map(({ entry }) => entry))
  const weights = (form: string) =>
    uses
      .filter((use) => use.form === form)
      .reduce((sum, { value }) => sum + elementBytes[value.dtype] * elements(value.shape.map(Number)), 0)
  const flat = 4 * plan.layout.size
  const trains = plan.entries.some(({ entry }) => entry.updates)
  return {
    capacity: { ...plan.capacity },
    bytes: {
      weightsForward: weights('packed'),
      weightsBackward: weights('packedTransposed'),
      weightsRaw: weights('raw'),
      parameters: flat,
      gradients: trains ? flat : 0,
      moments: trains ? 2 * flat : 0,
      activations: plan.arenaBytes,
      saved: savedBytes(plan),
      activationsLowerBound: Math.max(0, ...plan.entries.map(({ arena }) => arena.lowerBound)),
    },
    entries: plan.entries.map(({ entry, arena }) => ({
      name: entry.name,
      ops: entry.nodes.length,
      bytes: arena.bytes,
      lowerBound: arena.lowerBound,
    })),
  }
}

/** The report as lines for people. */
export function printPlanReport(report: PlanReport): string {
  const { bytes, capacity } = report
  const rows: [string, number][] = [
    ['weights, packed for the forward pass', bytes.weightsForward],
    ['weights, packed for the backward pass', bytes.weightsBackward],
    ['weights, as they are', bytes.weightsRaw],
    ['parameters', bytes.parameters],
    ['gradients', bytes.gradients],
    ['optimizer moments', bytes.moments],
    ['activations, one arena', bytes.activations],
    ['  of these saved for the backward pass', bytes.saved],
    ['  lower bound', bytes.activationsLowerBound],
  ]
  return [
    `plan for ${capacity.tokens} tokens in ${capacity.sequences} sequences`,
    table(
      rows.map(([label, size]) => [label, `${mebibytes(size)} MiB`]),
      'right',
    ),
    ...report.entries.map(
      ({ name, ops, bytes: size, lowerBound }) =>
        `entry ${name}: ${ops} ops, ${mebibytes(size)} MiB of activations (at least ${mebibytes(lowerBound)})`,
    ),
  ].join('\n')
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(2)
}

/** What forward nodes wrote and backward nodes still read: alive where the loss is computed, in the training entry. */
function savedBytes(plan: Plan): number {
  const training = plan.entries.find(({ entry }) => entry.updates)?.entry
  if (!training) return 0
  const lossAt = training.nodes.findIndex((node) => Object.values(node.outputs).includes(training.loss as Value))
  const written = new Set(training.nodes.slice(0, lossAt).flatMap((node) => Object.values(node.outputs)))
  const saved = new Set(
    training.nodes
      .slice(lossAt + 1)
      .flatMap((node) => Object.values(node.inputs))
      .filter((value) => written.has(value)),
  )
  return [...saved].reduce((sum, value) => sum + alignedBytes(value, plan.capacity), 0)
}
