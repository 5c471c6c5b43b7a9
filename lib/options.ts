/** Checks of options, shared by everything that takes some: before any work, saying what was expected and what came. */

import { OptionError } from './errors.js'

/** The known name nearest to a misspelt one, or undefined where none is near. */
export function suggest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Infinity
  for (const candidate of known) {
    const distance = distanceOf(plain(name), plain(candidate))
    if (distance < least) {
      least = distance
      best = candidate
    }
  }
  return best
}

/** How far a name that was written is from a known one; Infinity where it can hardly be meant. */
function distanceOf(name: string, candidate: string): number {
  // A name of which only the start was written counts as near: `positive` for `positiveLabel`.
  if (name.length >= 4 && name.length < candidate.length && candidate.startsWith(name)) return 1
  const distance = edits(name, candidate)
  // A third of the letters may be wrong: `batchsize`, `learning_rate`, `epoch`, but not just any word, and none of two.
  return distance <= Math.floor(Math.min(name.length, candidate.length) / 3) ? distance : Infinity
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[-_ ]/g, '')
}

/** Levenshtein distance, neighbouring letters swapped counting as one. */
function edits(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(change, above[j]! + 1, row[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    before = above
    above = row
  }
  return above[b.length]!
}

/** ", did you mean "x"?" where a known name is near. */
export function hint(name: string, known: Iterable<string>): string {
  const near = suggest(name, known)
  return near === undefined ? '' : `; did you mean "${near}"?`
}

/** Refuses what is no object with named fields. @throws OptionError ERR_OPTION */
export function checkObject(name: string, value: unknown): asserts value is object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return
  throw new OptionError('ERR_OPTION', `${name}: expected an object, got ${show(value)}`, {
    option: name,
    got: value,
    expected: 'an object',
  })
}

/**
 * Refuses what is no object, and keys that are not options.
 * @param where what takes them, `train` or `adapter`
 * @throws OptionError ERR_OPTION with `details.option` and, where one is near, `details.suggestion`
 */
export function checkKeys(where: string, options: object, known: readonly string[]): void {
  checkObject(where, options)
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const near = hint(key, known)
    const list = listKnown(known, near === '' ? '; expected' : ' Expected')
    throw new OptionError('ERR_OPTION', `${where}: unknown option "${key}"${near}${list}`, {
      option: key,
      suggestion: suggest(key, known),
      expected: known,
    })
  }
}

/** The known names, where they are few enough to be read. */
function listKnown(known: readonly string[], start: string): string {
  return known.length <= mostListed ? `${start} ${known.join(', ')}` : ''
}

const mostListed = 8

/** An OptionError for a value that does not fit. */
export function wrongOption(option: string, expected: string, got: unknown): OptionError {
  return new OptionError('ERR_OPTION', `option "${option}" must be ${expected}, not ${show(got)}`, {
    option,
    got,
    expected,
  })
}

/** A value for a message; a long text is cut. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 100 ? `${value.slice(0, 99)}…` : value)
  if (value !== null && typeof value === 'object') return Array.isArray(value) ? describeList(value) : 'an object'
  if (typeof value === 'function') return 'a function'
  return String(value)
}

function describeList({ length }: readonly unknown[]): string {
  return length === 0 ? 'an empty list' : `a list of ${length === 1 ? 'one' : length}`
}

export interface NumberRange {
  /** Smallest value allowed. */
  readonly least?: number
  /** Largest value allowed. */
  readonly most?: number
  /** The value must be larger than this. */
  readonly above?: number
  /** The value must be smaller than this. */
  readonly below?: number
  readonly integer?: boolean
}

/** Returns the number, or throws an OptionError that says the range. */
export function checkNumber(option: string, value: unknown, range: NumberRange): number {
  const { least = -Infinity, most = Infinity, above = -Infinity, below = Infinity, integer = false } = range
  const fits =
    typeof value === 'number' &&
    Number.isFinite(value) &&
    (!integer || Number.isSafeInteger(value)) &&
    value >= least &&
    value <= most &&
    (above === -Infinity || value > above) &&
    (below === Infinity || value < below)
  if (fits) return value
  throw wrongOption(option, describeRange(range), value)
}

function describeRange({ least, most, above, below, integer }: NumberRange): string {
  const bounds = [
    least === undefined ? '' : `of at least ${least}`,
    above === undefined ? '' : `above ${above}`,
    most === undefined ? '' : `of at most ${most}`,
    below === undefined ? '' : `below ${below}`,
  ].filter(Boolean)
  return [integer ? 'a whole number' : 'a number', bounds.join(' and ')].filter(Boolean).join(' ')
}

/** Returns the value if it is one of the list, else throws an OptionError with a suggestion. */
export function checkChoice<T extends string>(option: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T
  const near = typeof value === 'string' ? hint(value, choices) : ''
  const expected = `one of ${choices.join(', ')}`
  throw new OptionError('ERR_OPTION', `option "${option}" must be ${expected}, not ${show(value)}${near}`, {
    option,
    got: value,
    expected,
  })
}
