import { DataError } from '../../errors.js'
import { describePlace, type Place } from '../example.js'
import { readLines } from './lines.js'
import type { SourceRow } from './row.js'

/** Begins a document in the files of the CoNLL tasks; it is no word. */
const documentMark = '-DOCSTART-'

/**
 * Sentences of a CoNLL file: a word a line with its columns between tabs or spaces, an empty line after a sentence. The
 * first column is the word, the last one the tag; a file of one column has words alone. A row's place is its first line.
 * @throws DataError ERR_DATA_FIELDS where a line has not as many columns as the first one, and those of readLines
 */
export async function* readConll(file: string): AsyncGenerator<SourceRow> {
  let columns: number | undefined
  let sentence: string[][] = []
  let row = 0
  let first = 1
  for await (const line of readLines(file)) {
    row++
    const fields = line.split(/[ \t]+/).filter((field) => field !== '')
    if (fields.length === 0 || fields[0] === documentMark) {
      if (sentence.length > 0) yield sentenceRow(sentence, { file, row: first })
      sentence = []
      continue
    }
    columns ??= fields.length
    if (fields.length !== columns) throw wrongColumns(fields.length, columns, { file, row })
    if (sentence.length === 0) first = row
    sentence.push(fields)
  }
  if (sentence.length > 0) yield sentenceRow(sentence, { file, row: first })
}

function sentenceRow(sentence: readonly (readonly string[])[], place: Place): SourceRow {
  const tokens = sentence.map((fields) => fields[0]!)
  const tagged = sentence[0]!.length > 1
  const values = tagged ? { tokens, tags: sentence.map((fields) => fields.at(-1)!) } : { tokens }
  return { names: Object.keys(values), namesPlace: place, values, place }
}

function wrongColumns(found: number, expected: number, place: Place): DataError {
  const columns = (count: number) => `${count} column${count === 1 ? '' : 's'}`
  return new DataError(
    'ERR_DATA_FIELDS',
    `${describePlace(place)}: ${columns(found)}, expected ${columns(expected)} as in the first line`,
    { ...place, found, expected },
  )
}
