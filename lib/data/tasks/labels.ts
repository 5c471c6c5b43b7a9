/** Names of labels: what is one, which there are, and where a name stands among them. */

import { DataError } from '../../errors.js'
import { hint, show, wrongOption } from '../../options.js'
import { describePlace, type Place } from '../example.js'
import type { Warn } from './task.js'

/**
 * Checks a list of label names that a caller gave.
 * @param least labels that the task needs
 * @throws OptionError ERR_OPTION
 */
export function checkLabels(labels: unknown, least: number): asserts labels is readonly string[] {
  const fine = Array.isArray(labels) && labels.every((label) => typeof label === 'string' && label !== '')
  if (fine && labels.length >= least && new Set(labels).size === labels.length) return
  throw wrongOption('task.labels', `a list of at least ${least === 1 ? 'one' : 'two'} different label names`, labels)
}

/**
 * A label as a name: numbers and booleans of callers are taken by their text.
 * @throws DataError ERR_DATA_LABEL
 */
export function labelName(label: unknown, place: Place): string {
  if (typeof label === 'string' && label !== '') return label
  if (typeof label === 'boolean' || (typeof label === 'number' && Number.isFinite(label))) return String(label)
  throw new DataError(
    'ERR_DATA_LABEL',
    `${describePlace(place)}: the label is ${label === '' ? 'empty' : show(label)}, expected a name`,
    { ...place, field: 'label', found: label, expected: 'a name' },
  )
}

/** Refuses labels that are numbers in some rows and text in others: one of both is a mistake. */
export class SameType {
  private first: { readonly label: unknown; readonly place: Place } | undefined

  /** @throws DataError ERR_DATA_LABEL naming both rows */
  check(label: unknown, place: Place): void {
    this.first ??= { label, place }
    if (typeof label === typeof this.first.label) return
    const describe = (value: unknown) => `${show(value)} (${value === null ? 'null' : typeof value})`
    throw new DataError(
      'ERR_DATA_LABEL',
      `${describePlace(place)}: the label is ${describe(label)}, but that of ${describePlace(this.first.place)} is ` +
        `${describe(this.first.label)}; labels must be of one type`,
      { ...place, field: 'label', found: label, expected: typeof this.first.label },
    )
  }
}

/** Warns of labels that look the same: blanks around one are easily typed and hardly seen. */
export class BlankTwins {
  private readonly seen = new Set<string>()
  private readonly first = new Map<string, PlacedLabel>()

  constructor(private readonly warn: Warn = () => {}) {}

  add(label: string, place: Place): void {
    if (this.seen.has(label)) return
    this.seen.add(label)
    const plain = label.trim()
    const twin = this.first.get(plain)
    if (!twin) this.first.set(plain, { label, place })
    else this.warn('WARN_LABEL_BLANKS', describeTwins({ label, place }, twin))
  }
}

interface PlacedLabel {
  readonly label: string
  readonly place: Place
}

function describeTwins(second: PlacedLabel, first: PlacedLabel): string {
  return (
    `${describePlace(second.place)}: the label ${show(second.label)} differs from ${show(first.label)} ` +
    `(${describePlace(first.place)}) only by blanks around it, and is another one; ` +
    'if both are meant to be one, remove the blanks'
  )
}

/** The labels of a task, in the order of the outputs. */
export class LabelSet {
  private readonly indices: ReadonlyMap<string, number>

  /**
   * @param things what they are in messages: classes, labels, tags
   * @param isOpen true in a training, which can be told other names
   */
  constructor(
    readonly names: readonly string[],
    private readonly things: string,
    private readonly isOpen = false,
  ) {
    this.indices = new Map(names.map((name, index) => [name, index]))
  }

  /**
   * Index of the output that stands for a label.
   * @param where what the label is called in the message, `label` or `tag 3`
   * @throws DataError ERR_DATA_LABEL for one that is not in the set
   */
  index(name: string, place: Place, where = 'label'): number {
    const index = this.indices.get(name)
    if (index !== undefined) return index
    const { names, things } = this
    const listed = names.length <= 10 ? ` (${names.join(', ')})` : ''
    const near = hint(name, names)
    const advice = this.isOpen
      ? `${near === '' ? '; if' : ' If'} it is right, name all ${things} by option "task.labels"`
      : ''
    throw new DataError(
      'ERR_DATA_LABEL',
      `${describePlace(place)}, ${where} ${show(name)}: not one of the ${names.length} ${things}${listed}${near}${advice}`,
      { ...place, field: where.split(' ')[0], found: name, expected: names },
    )
  }
}
