import { DataError } from '../../errors.js'
import { show } from '../../options.js'
import { describePlace, type Place } from '../example.js'
import { readLines } from './lines.js'
import type { SourceRow } from './row.js'

/**
 * Rows of a file that has a JSON object a line.
 * @throws DataError ERR_DATA_JSON, ERR_DATA_ROW, and those of readLines
 */
export async function* readJsonLines(file: string): AsyncGenerator<SourceRow> {
  let row = 0
  for await (const line of readLines(file)) {
    const place = { file, row: ++row }
    yield objectRow(parseLine(line, place), place)
  }
}

function parseLine(line: string, place: Place): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    const empty = line.trim() === ''
    const what = empty ? 'an empty line' : `not valid JSON: ${(cause as Error).message}`
    throw new DataError(
      'ERR_DATA_JSON',
      `${describePlace(place)}: ${what}; expected one JSON object`,
      { ...place, found: line.slice(0, 100), expected: 'a JSON object' },
      { cause },
    )
  }
}

/**
 * An object as a row; keys whose value is undefined are absent.
 * @throws DataError ERR_DATA_ROW for what is no object
 */
export function objectRow(value: unknown, place: Place): SourceRow {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DataError('ERR_DATA_ROW', `${describePlace(place)}: expected an object, got ${show(value)}`, {
      ...place,
      found: value,
      expected: 'an object { text, textPair, label }',
    })
  }
  const values = value as Record<string, unknown>
  const names = Object.keys(values).filter((name) => values[name] !== undefined)
  return { names, namesPlace: place, values, place }
}
