import { PlanError } from '../errors.js'
import type { Value } from '../ir/graph.js'
import type { Form } from '../ops/define.js'
import { opByName } from '../ops/index.js'
import { planArena, type ArenaPlan, type Capacity } from './arena.js'
import type { ParameterLayout } from './layout.js'
import { lifetimes } from './lifetimes.js'
import type { Entry } from './schedule.js'

/** A frozen weight in the form some op wants it. */
export interface WeightUse {
  /** What the addon knows it by: `<value name>|<form>`. */
  readonly key: string
  readonly value: Value
  readonly form: Form
}

/** Everything that is decided before the first step, for one capacity. */
export interface Plan {
  readonly capacity: Capacity
  readonly layout: ParameterLayout
  readonly entries: readonly { readonly entry: Entry; readonly arena: ArenaPlan }[]
  /** Bytes of the one arena that all entries use in turn. */
  readonly arenaBytes: number
}

/**
 * Plans the memory of all entries at a capacity. Entries run one at a time, so they share one arena. Where the layout
 * has guards, so do the activations.
 */
export function planProgram(entries: readonly Entry[], layout: ParameterLayout, capacity: Capacity): Plan {
  const planned = entries.map((entry) => ({ entry, arena: planArena(lifetimes(entry), capacity, layout.guard) }))
  const arenaBytes = Math.max(0, ...planned.map(({ arena }) => arena.bytes))
  if (!Number.isSafeInteger(arenaBytes)) {
    throw new PlanError('ERR_PLAN', `a batch of ${capacity.tokens} tokens is too large to plan`, { capacity })
  }
  return { capacity, layout, entries: planned, arenaBytes }
}

/** The weights the entries read, those of the backbone or those of a row's task, each in every form it is read in, once. */
export function weightUses(entries: readonly Entry[], storage: 'frozen' | 'task' = 'frozen'): WeightUse[] {
  const uses = new Map<string, WeightUse>()
  for (const { nodes } of entries) {
    for (const node of nodes) {
      for (const [operand, value] of Object.entries(node.inputs)) {
        if (value.storage !== storage) continue
        const form = formOf(node.op, operand, value)
        const key = weightKey(value, form)
        uses.set(key, { key, value, form })
      }
    }
  }
  return [...uses.values()]
}

/** The form an op reads an operand in: only frozen matrices are ever packed. */
export function formOf(op: string, operand: string, value: Value): Form {
  const isWeight = value.storage === 'frozen' || value.storage === 'task'
  return isWeight && value.shape.length === 2 ? (opByName(op).inputs[operand]?.form ?? 'raw') : 'raw'
}

export function weightKey(value: Value, form: Form): string {
  return `${value.name}|${form}`
}
