/** What makes a run the run it is: all that its result depends on, and how two such descriptions differ. */

import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { taskOptionNames, type TaskRecord } from '../data/tasks/index.js'
import { RunError } from '../errors.js'
import { show } from '../options.js'
import type { RunOptions } from './run.js'

/** Two runs with the same identity give the same bytes on the same instruction set. */
export interface RunIdentity {
  /** Of the backbone's model file. */
  readonly backbone: string
  readonly task: TaskRecord
  readonly options: RunOptions
  readonly data: RunData
}

export interface RunData {
  readonly train: DataIdentity
  readonly validation?: DataIdentity
}

export interface DataIdentity {
  readonly rows: number
  /** Of what the model is given: token ids, types and targets. */
  readonly sha256: string
}

/** The part of a dataset that a result depends on. */
export interface HashedRows {
  readonly inputIds: readonly (readonly number[])[]
  readonly tokenTypeIds: readonly (readonly number[])[]
  readonly targets: readonly unknown[]
  /** What the rows were made of, where metrics are computed from that. */
  readonly examples?: readonly { readonly example: object }[]
}

export function identifyData({ inputIds, tokenTypeIds, targets, examples = [] }: HashedRows): DataIdentity {
  const hash = createHash('sha256')
  for (const rows of [inputIds, tokenTypeIds]) {
    hash.update(Int32Array.from(rows, (row) => row.length))
    for (const row of rows) hash.update(Int32Array.from(row))
  }
  for (const target of targets) hash.update(`${JSON.stringify(target)}\n`)
  // Where a row stood in its file does not matter.
  for (const { example } of examples) hash.update(`${JSON.stringify({ ...example, place: undefined })}\n`)
  return { rows: inputIds.length, sha256: hash.digest('hex') }
}

/**
 * Refuses to go on with a run under another identity.
 * @throws RunError ERR_RUN_BACKBONE, ERR_RUN_OPTIONS, ERR_RUN_DATA with `details.differences`, a list of
 * `{ name, expected, got }`
 */
export function refuseOther(folder: string, recorded: RunIdentity, given: RunIdentity): void {
  const refuse = (
    code: string,
    what: string,
    differences: readonly Difference[],
    advice: string,
    call: (name: string) => string = (name) => name,
  ) => {
    const list = differences.map(
      ({ name, expected, got }) => `${call(name)} was ${word(expected)}, is now ${word(got)}`,
    )
    return new RunError(code, `${folder}: cannot go on with this run: ${what}: ${list.join('; ')}. ${advice}`, {
      file: folder,
      differences,
    })
  }
  const fresh = 'or start anew by option "overwrite"'
  if (recorded.backbone !== given.backbone) {
    const difference = { name: 'its sha256', expected: recorded.backbone, got: given.backbone }
    throw refuse('ERR_RUN_BACKBONE', 'its backbone is another file', [difference], `Give the one of then, ${fresh}`)
  }
  const options = differencesOf(recorded.options, given.options).filter(({ name }) => name !== 'pair')
  if (options.length > 0) {
    const differing = options.map((each) => ({ ...each, name: optionName(each.name) }))
    throw refuse('ERR_RUN_OPTIONS', 'options differ', differing, `Give those of then, ${fresh}`, callOption)
  }
  // A label more, or another range of values, comes from the data too.
  const data = [
    ...differencesOf(recorded.data, given.data),
    ...differencesOf({ task: recorded.task }, { task: given.task }),
  ]
  if (data.length > 0) {
    throw refuse('ERR_RUN_DATA', 'its data or labels have changed', data, `Give the data of then, ${fresh}`, callTask)
  }
}

/** What the record has in the optimizer is asked for beside it. */
function optionName(name: string): string {
  return name.replace(/^optimizer\.(?=weightDecay$|clipNorm$)/, '')
}

function callOption(name: string): string {
  return `option "${name}"`
}

/** Labels are found in the data or given as an option; ranges of values are only found. */
function callTask(name: string): string {
  const part = name.replace(/^task\./, '')
  return name !== part && (part === 'kind' || taskOptionNames.includes(part)) ? callOption(name) : name
}

interface Difference {
  /** `adapter.size` */
  readonly name: string
  readonly expected: unknown
  readonly got: unknown
}

/** Leaves that differ, by their path. */
function differencesOf(recorded: object, given: object, path = ''): Difference[] {
  // Through JSON, as one of the two has been.
  const [a, b] = [recorded, given].map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>)
  return [...new Set([...Object.keys(a!), ...Object.keys(b!)])].flatMap((key) => {
    const [expected, got] = [a![key], b![key]]
    const name = path === '' ? key : `${path}.${key}`
    if (isRecord(expected) && isRecord(got)) return differencesOf(expected, got, name)
    return isDeepStrictEqual(expected, got) ? [] : [{ name, expected, got }]
  })
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function word(value: unknown): string {
  if (value === undefined) return 'not given'
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return `${value.slice(0, 12)}...`
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : show(value)
}
