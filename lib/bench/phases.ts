import type { Node } from '../ir/graph.js'
import type { Entry } from '../plan/schedule.js'
import { sum } from './statistics.js'

/**
 * Parts of a step. The adapters' forward time holds what is fused with them: the dropout before, the residual and the
 * LayerNorm after. `forward` is the rest up to the loss: encoder and head. `other` is all outside the ops: packing the
 * batch, going to the native thread and back.
 */
export const phases = ['forward', 'adapterForward', 'backward', 'adapterBackward', 'optimizer', 'other'] as const
export type Phase = (typeof phases)[number]

/** Milliseconds of each part of one step. */
export type Split = Readonly<Record<Phase, number>>

/** Where each node of an entry belongs. */
export function nodePhases(entry: Entry): Phase[] {
  const lossAt = entry.nodes.findIndex((node) => entry.loss && Object.values(node.outputs).includes(entry.loss))
  return entry.nodes.map((node, i) => phaseOf(node, lossAt >= 0 && i > lossAt))
}

function phaseOf({ op }: Node, afterLoss: boolean): Phase {
  switch (op) {
    case 'adapter':
      return 'adapterForward'
    case 'adapter_backward':
      return 'adapterBackward'
    case 'grad_norm':
    case 'adamw':
      return 'optimizer'
    default:
      return afterLoss ? 'backward' : 'forward'
  }
}

/**
 * Cuts the time of a step into its parts, which add up to it.
 * @param milliseconds of the whole step, as its caller saw it
 * @param opMilliseconds of each node, in order
 */
export function splitStep(milliseconds: number, opMilliseconds: Float64Array, of: readonly Phase[]): Split {
  const split: Record<Phase, number> = {
    forward: 0,
    adapterForward: 0,
    backward: 0,
    adapterBackward: 0,
    optimizer: 0,
    other: 0,
  }
  opMilliseconds.forEach((time, i) => (split[of[i]!] += time))
  split.other = milliseconds - sum(opMilliseconds)
  return split
}
