import { DataError } from '../../errors.js'
import { hint, show } from '../../options.js'
import { describePlace, type Columns, type Example } from '../example.js'
import type { Fields } from '../fields.js'
import type { SourceRow } from './row.js'

type Role = keyof Columns

/** The names of the fields that are read; the same in all rows of a source. */
interface Found {
  readonly text: string
  readonly textPair?: string
  readonly label?: string
}

/**
 * Turns rows into examples, finding the columns by the names of the first row.
 * @param needsLabel false for rows to predict: labels are not read then
 */
export class ExampleMaker {
  private found: Found | undefined

  constructor(
    private readonly fields: Fields,
    private readonly columns: Columns,
    private readonly needsLabel: boolean,
  ) {}

  /**
   * @throws DataError ERR_DATA_HEADER where a table has no such column; ERR_DATA_ROW where a row lacks a field, or has a
   * value of a wrong type
   */
  make(row: SourceRow): Example {
    this.found ??= this.find(row)
    const { text, textPair, label } = this.found
    // A table's rows are as its header says; those of JSON and iterables may differ.
    if (row.namesPlace === row.place) this.checkNames(row, this.found)
    return {
      ...(this.fields.words ? readWords(row, text) : { text: readText(row, text) }),
      textPair: textPair === undefined ? undefined : readText(row, textPair),
      label: label === undefined ? undefined : row.values[label],
      place: row.place,
    }
  }

  private find(row: SourceRow): Found {
    const { needsPair = false } = this.fields
    const textPair = this.fields.textPair && this.pick(row, 'textPair', needsPair)
    if (!this.fields.textPair && this.columns.textPair !== undefined) throw this.missing(row, 'textPair', [])
    return {
      text: this.pick(row, 'text', true)!,
      textPair,
      label: this.needsLabel ? this.pick(row, 'label', true) : undefined,
    }
  }

  /** The first of the names for a role that the row has. */
  private pick(row: SourceRow, role: Role, required: boolean): string | undefined {
    const asked = this.columns[role]
    const names = asked === undefined ? (this.fields[role] ?? []) : [asked]
    const found = names.find((name) => row.names.includes(name))
    if (found === undefined && (required || asked !== undefined)) throw this.missing(row, role, names)
    return found
  }

  private checkNames(row: SourceRow, found: Found): void {
    for (const role of ['text', 'textPair', 'label'] as const) {
      const name = found[role]
      if (name !== undefined && !row.names.includes(name)) throw this.missing(row, role, [name])
    }
    if (found.textPair !== undefined) return
    const second = this.pick(row, 'textPair', false)
    if (second === undefined) return
    throw new DataError(
      'ERR_DATA_ROW',
      `${describePlace(row.place)}: a second text ("${second}"), unlike the first row`,
      { ...row.place, field: second, found: row.names, expected: 'one text' },
    )
  }

  private missing(row: SourceRow, role: Role, names: readonly string[]): DataError {
    const table = row.namesPlace !== row.place
    const wanted = names.map((name) => `"${name}"`).join(', ')
    const found = row.names.map((name) => `"${name}"`).join(', ') || 'none'
    const near = names.length === 1 ? hint(names[0]!, row.names) : ''
    const expected = names.length === 0 ? 'none for this task' : `${names.length > 1 ? 'one of ' : ''}${wanted}`
    return new DataError(
      table ? 'ERR_DATA_HEADER' : 'ERR_DATA_ROW',
      `${describePlace(row.namesPlace)}: no ${table ? 'column' : 'field'} for ${this.describe(role)}: expected ${expected}, found ${found}${near}`,
      { ...row.namesPlace, field: names.length === 1 ? names[0] : role, found: row.names, expected: names },
    )
  }

  private describe(role: Role): string {
    switch (role) {
      case 'text':
        return this.fields.words ? 'the words' : 'the text'
      case 'textPair':
        return 'the second text'
      case 'label':
        return this.fields.words ? 'the tags' : 'the label'
    }
  }
}

function readText({ values, place }: SourceRow, field: string): string {
  const found = values[field]
  if (typeof found === 'string') return found
  throw new DataError('ERR_DATA_ROW', `${describePlace(place)}: ${field} must be a string, got ${show(found)}`, {
    ...place,
    field,
    found,
    expected: 'a string',
  })
}

/** Words as a list, or as a text with single spaces between them, as tables have them. */
function readWords({ values, place }: SourceRow, field: string): { text: string; words: readonly string[] } {
  const found = values[field]
  const words: unknown = typeof found === 'string' ? found.split(' ') : found
  const isWord = (word: unknown) => typeof word === 'string' && word !== ''
  if (Array.isArray(words) && words.length > 0 && words.every(isWord))
    return { text: words.join(' '), words: words as string[] }
  const at = Array.isArray(words) ? words.findIndex((word) => !isWord(word)) : -1
  const what = at < 0 ? (Array.isArray(words) ? 'an empty list' : show(found)) : `${describeWord(words, at)}`
  throw new DataError(
    'ERR_DATA_ROW',
    `${describePlace(place)}: ${field} must be a list of words, or words with single spaces between them, got ${what}`,
    { ...place, field, found, expected: 'a list of words' },
  )
}

function describeWord(words: unknown, at: number): string {
  const word = (words as unknown[])[at]
  return `${word === '' ? 'nothing' : show(word)} as word ${at + 1}`
}
