import { DataError } from '../../errors.js'
import { show } from '../../options.js'
import type { Example, ExampleInput } from '../example.js'

/**
 * Rows handed in by the caller.
 * @throws DataError ERR_DATA_ROW for one that is not `{ text, textPair?, label? }`
 */
export async function* readIterable(
  source: Iterable<ExampleInput> | AsyncIterable<ExampleInput>,
  needsLabel: boolean,
): AsyncGenerator<Example> {
  let row = 0
  for await (const input of source as AsyncIterable<ExampleInput>) {
    row++
    if (typeof input !== 'object' || input === null)
      throw wrongRow(row, 'a row', 'an object { text, textPair, label }', input)
    const { text, textPair, label } = input
    if (typeof text !== 'string') throw wrongRow(row, 'text', 'a string', text)
    if (textPair !== undefined && typeof textPair !== 'string') throw wrongRow(row, 'textPair', 'a string', textPair)
    if (needsLabel && label === undefined) throw wrongRow(row, 'label', 'a label', label)
    yield { text, textPair, label, place: { row } }
  }
}

function wrongRow(row: number, field: string, expected: string, found: unknown): DataError {
  return new DataError('ERR_DATA_ROW', `row ${row}: ${field} must be ${expected}, got ${show(found)}`, {
    row,
    field,
    found,
    expected,
  })
}
