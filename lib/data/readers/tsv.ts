import { readLines } from './lines.js'
import { readHeader, tableRow, type Header, type SourceRow } from './row.js'

/**
 * Rows of a tab-separated file with a header; no quoting and no escapes, so a `"` is a plain character.
 * @throws DataError ERR_DATA_HEADER, ERR_DATA_FIELDS, and those of readLines
 */
export async function* readTsv(file: string): AsyncGenerator<SourceRow> {
  let header: Header | undefined
  let row = 0
  for await (const line of readLines(file)) {
    const place = { file, row: ++row }
    const fields = line.split('\t')
    if (header) yield tableRow(header, fields, place)
    else header = readHeader(fields, place)
  }
}
