import { DataError } from '../../errors.js'
import type { Columns, DataSource, Example } from '../example.js'
import { readIterable } from './iterable.js'
import { readTsv } from './tsv.js'

export interface ReadOptions {
  /** Names of columns, where they are not the usual ones. */
  readonly columns?: Columns
  /** False for rows to predict. @default true */
  readonly needsLabel?: boolean
  /** Read the first rows only. @default all */
  readonly limit?: number
}

type Reader = (file: string, columns: Columns, needsLabel: boolean) => AsyncIterable<Example>

/** By the end of the file's name, before `.gz`. */
const readers: Readonly<Record<string, Reader>> = {
  '.tsv': readTsv,
}

/**
 * All rows of a file or an iterable; nothing is given back from half a file.
 * @throws DataError ERR_DATA_FORMAT, ERR_DATA_EMPTY, and those of the readers
 */
export async function readExamples(source: DataSource, options: ReadOptions = {}): Promise<Example[]> {
  const { columns = {}, needsLabel = true, limit = Infinity } = options
  const rows =
    typeof source === 'string' ? readerOf(source)(source, columns, needsLabel) : readIterable(source, needsLabel)
  const examples: Example[] = []
  for await (const example of rows) {
    examples.push(example)
    if (examples.length >= limit) break
  }
  if (examples.length === 0) {
    const name = typeof source === 'string' ? source : 'the data'
    throw new DataError(
      'ERR_DATA_EMPTY',
      `${name}: no rows`,
      typeof source === 'string' ? { file: source, found: 0 } : { found: 0 },
    )
  }
  return examples
}

function readerOf(file: string): Reader {
  const plain = file.toLowerCase().replace(/\.gz$/, '')
  const found = Object.keys(readers).find((end) => plain.endsWith(end))
  if (found) return readers[found]!
  const expected = Object.keys(readers)
    .map((end) => `*${end}, *${end}.gz`)
    .join(', ')
  throw new DataError('ERR_DATA_FORMAT', `${file}: not a kind of data file that can be read; expected ${expected}`, {
    file,
    expected,
  })
}
