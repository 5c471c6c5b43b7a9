import { DataError } from '../errors.js'

/** Token numbers of one row: any indexable list of integers. */
export type TokenRow = ArrayLike<number>

/** A batch without padding: the rows' tokens one after the other. */
export interface PackedRows {
  /** i32[T] */
  readonly ids: Int32Array
  /** i32[T]; absent where no row gave types and the model asks for none. */
  readonly types?: Int32Array
  /** Cumulative lengths i32[B+1]: row b is tokens cu[b] to cu[b+1]. */
  readonly cu: Int32Array
}

/**
 * Packs rows of any lengths.
 * @param types token types of each row; zeros where `needsTypes` and none are given
 * @throws {DataError} ERR_DATA_BATCH where the batch is empty or a row's types are not as long as its tokens
 */
export function packBatch(
  rows: readonly TokenRow[],
  types?: readonly TokenRow[],
  needsTypes = types !== undefined,
): PackedRows {
  if (!Array.isArray(rows) || rows.length === 0) {
    throw new DataError('ERR_DATA_BATCH', 'a batch needs at least one row of token numbers in "inputIds"', {
      field: 'inputIds',
    })
  }
  if (types && types.length !== rows.length) {
    throw new DataError('ERR_DATA_BATCH', `"tokenTypeIds" has ${types.length} rows, "inputIds" ${rows.length}`, {
      field: 'tokenTypeIds',
    })
  }
  const cu = new Int32Array(rows.length + 1)
  rows.forEach((row, b) => {
    if (typeof row?.length !== 'number') {
      throw new DataError('ERR_DATA_BATCH', `row ${b} of "inputIds" is not a list of token numbers`, {
        field: 'inputIds',
        row: b,
      })
    }
    cu[b + 1] = cu[b]! + row.length
    const typeRow = types?.[b]
    if (typeRow && typeRow.length !== row.length) {
      throw new DataError('ERR_DATA_BATCH', `row ${b} has ${row.length} tokens, but ${typeRow.length} token types`, {
        field: 'tokenTypeIds',
        row: b,
      })
    }
  })
  const ids = concatenate(rows, cu, 'inputIds')
  if (!needsTypes) return { ids, cu }
  return { ids, cu, types: types ? concatenate(types, cu, 'tokenTypeIds') : new Int32Array(ids.length) }
}

/** Rows `begin` to `end` of a batch, on the same memory. */
export function sliceRows({ ids, types, cu }: PackedRows, begin: number, end: number): PackedRows {
  const [first, last] = [cu[begin]!, cu[end]!]
  return {
    ids: ids.subarray(first, last),
    ...(types && { types: types.subarray(first, last) }),
    cu: cu.subarray(begin, end + 1).map((at) => at - first),
  }
}

/** The rows of several batches, one after the other; all of them have types, or none has. */
export function joinRows(batches: readonly PackedRows[]): PackedRows {
  if (batches.length === 1) return batches[0]!
  const tokens = batches.reduce((sum, { ids }) => sum + ids.length, 0)
  const rows = batches.reduce((sum, { cu }) => sum + cu.length - 1, 0)
  const ids = new Int32Array(tokens)
  const types = batches[0]?.types && new Int32Array(tokens)
  const cu = new Int32Array(rows + 1)
  let [token, row] = [0, 0]
  for (const batch of batches) {
    ids.set(batch.ids, token)
    if (batch.types) types?.set(batch.types, token)
    for (const end of batch.cu.subarray(1)) cu[++row] = token + end
    token += batch.ids.length
  }
  return { ids, cu, ...(types && { types }) }
}

/** A flat result per token, or per sequence, as one array per row. */
export function unpackRows(flat: Float32Array, cu: Int32Array, width: number, perToken: boolean): Float32Array[] {
  return Array.from({ length: cu.length - 1 }, (_, b) => {
    const [start, end] = perToken ? [cu[b]!, cu[b + 1]!] : [b, b + 1]
    return flat.slice(start * width, end * width)
  })
}

function concatenate(rows: readonly TokenRow[], cu: Int32Array, field: string): Int32Array {
  const all = new Int32Array(cu.at(-1)!)
  rows.forEach((row, b) => {
    for (let i = 0; i < row.length; i++) {
      const number = row[i]!
      if (!Number.isInteger(number) || number < 0 || number > 0x7fff_ffff) {
        throw new DataError(
          'ERR_DATA_BATCH',
          `row ${b} of "${field}" holds ${number} at position ${i}, expected a whole number from 0`,
          {
            field,
            row: b,
            position: i,
          },
        )
      }
      all[cu[b]! + i] = number
    }
  })
  return all
}
