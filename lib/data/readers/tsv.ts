import { DataError } from '../../errors.js'
import type { Columns, Example } from '../example.js'
import { findColumns } from './columns.js'
import { readLines } from './lines.js'

/**
 * Rows of a tab-separated file with a header; no quoting and no escapes, so a `"` is a plain character.
 * @throws DataError ERR_DATA_HEADER, ERR_DATA_FIELDS, and those of readLines
 */
export async function* readTsv(file: string, columns: Columns, needsLabel: boolean): AsyncGenerator<Example> {
  let header: string[] | undefined
  let index: ReturnType<typeof findColumns> | undefined
  let row = 0
  for await (const line of readLines(file)) {
    row++
    if (header === undefined || index === undefined) {
      header = line.split('\t')
      index = findColumns(file, header, columns, needsLabel)
      continue
    }
    const fields = line.split('\t')
    if (fields.length !== header.length) throw wrongFields(file, row, line, fields.length, header)
    yield {
      text: fields[index.text]!,
      textPair: index.textPair === undefined ? undefined : fields[index.textPair],
      label: index.label === undefined ? undefined : fields[index.label],
      place: { file, row },
    }
  }
}

function wrongFields(file: string, row: number, line: string, found: number, header: readonly string[]): DataError {
  const expected = header.length
  const what = line === '' ? 'an empty line' : `${found} field${found === 1 ? '' : 's'}`
  const why = found < expected && line !== '' ? `; "${header[found]}" is missing` : ''
  return new DataError(
    'ERR_DATA_FIELDS',
    `${file}, line ${row}: ${what}, expected ${expected} (${header.join(', ')})${why}`,
    {
      file,
      row,
      field: header[found],
      found,
      expected,
    },
  )
}
