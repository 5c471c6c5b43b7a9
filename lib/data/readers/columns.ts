import { DataError } from '../../errors.js'
import { hint } from '../../options.js'
import type { Columns } from '../example.js'

/** Positions of the columns in a row. */
export interface ColumnIndex {
  readonly text: number
  readonly textPair?: number
  readonly label?: number
}

/** Names that data sets use, in order of preference; the first ones are ours. */
const usual = {
  text: ['text_a', 'text', 'sentence', 'sentence1', 'premise', 'question', 'question1'],
  textPair: ['text_b', 'text_pair', 'textPair', 'sentence2', 'hypothesis', 'question2'],
  label: ['label', 'class', 'target', 'score'],
}

/**
 * Finds the columns in a header.
 * @param needsLabel false for rows to predict
 * @throws DataError ERR_DATA_HEADER naming the columns that are there
 */
export function findColumns(
  file: string,
  header: readonly string[],
  columns: Columns,
  needsLabel: boolean,
): ColumnIndex {
  const repeated = header.find((name, i) => header.indexOf(name) !== i)
  if (repeated !== undefined) {
    throw new DataError('ERR_DATA_HEADER', `${file}, line 1: two columns are called "${repeated}"`, {
      file,
      row: 1,
      field: repeated,
    })
  }
  const find = (kind: keyof Columns, required: boolean): number | undefined => {
    const asked = columns[kind]
    const names = asked === undefined ? usual[kind] : [asked]
    const index = names.map((name) => header.indexOf(name)).find((i) => i >= 0)
    if (index === undefined && (required || asked !== undefined)) throw noColumn(file, header, kind, names)
    return index
  }
  return { text: find('text', true)!, textPair: find('textPair', false), label: find('label', needsLabel) }
}

const roles: Readonly<Record<keyof Columns, string>> = {
  text: 'the text',
  textPair: 'the second text',
  label: 'the label',
}

function noColumn(file: string, header: readonly string[], kind: keyof Columns, names: readonly string[]): DataError {
  const wanted = names.map((name) => `"${name}"`).join(', ')
  const found = header.map((name) => `"${name}"`).join(', ')
  const near = names.length === 1 ? hint(names[0]!, header) : ''
  return new DataError(
    'ERR_DATA_HEADER',
    `${file}, line 1: no column for ${roles[kind]}: expected ${names.length > 1 ? 'one of ' : ''}${wanted}, found ${found}${near}`,
    { file, row: 1, field: kind, found: header, expected: names },
  )
}
