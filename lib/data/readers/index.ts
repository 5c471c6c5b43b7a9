import { DataError } from '../../errors.js'
import type { Columns, DataSource, Example } from '../example.js'
import { textFields, type Fields } from '../fields.js'
import { ExampleMaker } from './columns.js'
import { readConll } from './conll.js'
import { readCsv } from './csv.js'
import { readIterable } from './iterable.js'
import { readJsonLines } from './json_lines.js'
import type { SourceRow } from './row.js'
import { readSquad } from './squad.js'
import { readTsv } from './tsv.js'

export interface ReadOptions {
  /** What the task reads. @default a text, maybe a second one, and a label */
  readonly fields?: Fields
  /** Names of columns, where they are not the usual ones. */
  readonly columns?: Columns
  /** False for rows to predict. @default true */
  readonly needsLabel?: boolean
  /** Read the first rows only. @default all */
  readonly limit?: number
}

/** By the end of the file's name, before `.gz`. */
const readers: Readonly<Record<string, (file: string) => AsyncIterable<SourceRow>>> = {
  '.tsv': readTsv,
  '.csv': readCsv,
  '.jsonl': readJsonLines,
  '.ndjson': readJsonLines,
  '.conll': readConll,
  '.json': readSquad,
}

/** The kinds of files, for people. */
export const dataFiles = `${Object.keys(readers)
  .map((end) => end.slice(1))
  .join(', ')} (.gz too)`

/**
 * All rows of a file or an iterable; nothing is given back from half a file.
 * @throws DataError ERR_DATA_FORMAT, ERR_DATA_EMPTY, ERR_DATA_HEADER, ERR_DATA_ROW, and those of the readers
 */
export async function readExamples(source: DataSource, options: ReadOptions = {}): Promise<Example[]> {
  const { fields = textFields, columns = {}, needsLabel = true, limit = Infinity } = options
  const rows = typeof source === 'string' ? readerOf(source)(source) : readIterable(source)
  const maker = new ExampleMaker(fields, columns, needsLabel)
  const examples: Example[] = []
  for await (const row of rows) {
    examples.push(maker.make(row))
    if (examples.length >= limit) break
  }
  if (examples.length === 0) {
    const file = typeof source === 'string' ? source : undefined
    throw new DataError('ERR_DATA_EMPTY', `${file ?? 'the data'}: no rows`, { file, found: 0 })
  }
  return examples
}

/** True where the end of a file's name says how it is read. */
export function isDataFile(file: string): boolean {
  return findReader(file) !== undefined
}

function findReader(file: string): (typeof readers)[string] | undefined {
  const plain = file.toLowerCase().replace(/\.gz$/, '')
  const end = Object.keys(readers).find((each) => plain.endsWith(each))
  return end === undefined ? undefined : readers[end]
}

function readerOf(file: string): (typeof readers)[string] {
  const reader = findReader(file)
  if (reader) return reader
  throw new DataError(
    'ERR_DATA_FORMAT',
    `${file}: not a kind of data file that can be read; expected ${dataFiles}, by the end of its name`,
    { file, expected: Object.keys(readers) },
  )
}
