import { CsvError, parse, type Info } from 'csv-parse/sync'
import { DataError } from '../../errors.js'
import { describePlace, type Place } from '../example.js'
import { readLines } from './lines.js'
import { readHeader, tableRow, type Header, type SourceRow } from './row.js'

/** Lines that are parsed at once: enough for speed, few enough for other work of the process to get its turn. */
const linesAtOnce = 1000

/**
 * Rows of a comma-separated file with a header (RFC 4180): a field with commas, quotes or line ends stands in double
 * quotes, a quote in it is doubled. Line ends within a field become `\n`.
 * @throws DataError ERR_DATA_HEADER, ERR_DATA_FIELDS, ERR_DATA_QUOTES, and those of readLines
 */
export async function* readCsv(file: string): AsyncGenerator<SourceRow> {
  let header: Header | undefined
  for await (const lines of wholeRecords(file)) {
    for (const { record, place } of parseLines(lines, file)) {
      if (header) yield tableRow(header, record, place)
      else header = readHeader(record, place)
    }
  }
}

/** `info` tells the line that a record ends in; the number of fields is checked here, with the names of the header. */
const options = { info: true, relax_column_count: true, record_delimiter: '\n' }

interface Lines {
  readonly text: string
  /** 1-based line of the file that the text starts with. */
  readonly first: number
  /** Line with the quote that was never closed. */
  readonly open?: number
}

/** The file in parts that end with a record: there the quotes seen so far come in pairs. */
async function* wholeRecords(file: string): AsyncGenerator<Lines> {
  let lines: string[] = []
  let row = 0
  let open: number | undefined
  for await (const line of readLines(file)) {
    row++
    lines.push(line)
    if (countQuotes(line) % 2 === 1) open = open === undefined ? row : undefined
    if (open === undefined && lines.length >= linesAtOnce) {
      yield { text: lines.join('\n'), first: row - lines.length + 1 }
      lines = []
    }
  }
  if (lines.length > 0) yield { text: lines.join('\n'), first: row - lines.length + 1, open }
}

function countQuotes(line: string): number {
  let count = 0
  for (let at = line.indexOf('"'); at >= 0; at = line.indexOf('"', at + 1)) count++
  return count
}

function parseLines({ text, first, open }: Lines, file: string): { record: string[]; place: Place }[] {
  try {
    let row = first
    // Without the last line end an empty last line would be lost.
    const records = parse(`${text}\n`, options) as unknown as { record: string[]; info: Info }[]
    return records.map(({ record, info }) => {
      const place = { file, row }
      row = first + info.lines
      return { record, place }
    })
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause
    const unclosed = cause.code === 'CSV_QUOTE_NOT_CLOSED'
    const place = { file, row: unclosed && open !== undefined ? open : first + Number(cause.lines) - 1 }
    const what = unclosed ? 'a quote that is opened and never closed' : 'a quote in a place where none may be'
    throw new DataError(
      'ERR_DATA_QUOTES',
      `${describePlace(place)}: ${what}; a field with a quote in it stands in quotes, and the quote is doubled`,
      { ...place, expected: 'quoted fields of RFC 4180' },
      { cause },
    )
  }
}
