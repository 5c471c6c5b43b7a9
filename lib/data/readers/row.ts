import { DataError } from '../../errors.js'
import { describePlace, type Place } from '../example.js'

/** A row as its source has it: values by the names of its columns or keys. */
export interface SourceRow {
  /** The names that may stand in it, and where they stand: all rows of a table share those of its header. */
  readonly names: readonly string[]
  readonly namesPlace: Place
  readonly values: Readonly<Record<string, unknown>>
  readonly place: Place
}

/** A header of a table, checked. */
export interface Header {
  readonly names: readonly string[]
  readonly place: Place
}

/** @throws DataError ERR_DATA_HEADER where two columns have one name */
export function readHeader(names: readonly string[], place: Place): Header {
  const repeated = names.find((name, i) => names.indexOf(name) !== i)
  if (repeated === undefined) return { names, place }
  throw new DataError('ERR_DATA_HEADER', `${describePlace(place)}: two columns are called "${repeated}"`, {
    ...place,
    field: repeated,
    found: names,
  })
}

/**
 * A row of a table.
 * @throws DataError ERR_DATA_FIELDS where it has not as many fields as the header
 */
export function tableRow(header: Header, fields: readonly string[], place: Place): SourceRow {
  const { names } = header
  if (fields.length !== names.length) throw wrongFields(names, fields, place)
  const values = Object.fromEntries(names.map((name, i) => [name, fields[i]!]))
  return { names, namesPlace: header.place, values, place }
}

function wrongFields(names: readonly string[], fields: readonly string[], place: Place): DataError {
  const found = fields.length
  const expected = names.length
  const empty = found === 1 && fields[0] === ''
  const what = empty ? 'an empty line' : `${found} field${found === 1 ? '' : 's'}`
  const why = found < expected && !empty ? `; "${names[found]}" is missing` : ''
  return new DataError(
    'ERR_DATA_FIELDS',
    `${describePlace(place)}: ${what}, expected ${expected} (${names.join(', ')})${why}`,
    { ...place, field: names[found], found, expected },
  )
}
