import { packBatch, type PackedRows, type TokenRow } from '../data/pack.js'
import { DataError } from '../errors.js'
import type { Graph } from '../ir/graph.js'
import { checkKeys } from '../options.js'

/** Rows of token numbers, special tokens included, each of its own length: no padding, no mask. */
export interface Rows {
  readonly inputIds: readonly TokenRow[]
  /** @default all 0 */
  readonly tokenTypeIds?: readonly TokenRow[] | undefined
}

/** What the encoder's tables allow. */
export interface EncoderLimits {
  readonly vocabulary: number
  /** Longest row. */
  readonly positions: number
  /** Rows of the token type table that the model file lets a caller choose from; 0 where it takes no types. */
  readonly tokenTypes: number
  /** RoBERTa family: the id of padding. Positions do not count it, so it cannot stand among real tokens. */
  readonly pad?: number
}

/** Reads the limits off the encoder's lookup. @param pad the id that positions do not count, where there is one */
export function encoderLimits(graph: Graph, { pad }: { readonly pad?: number } = {}): EncoderLimits {
  const node = graph.nodes.find((each) => each.op === 'embedding')
  const rows = (operand: string) => Number(node?.inputs[operand]?.shape[0] ?? 0)
  const offset = Number(node?.attributes.position_offset ?? 0)
  return {
    vocabulary: rows('word'),
    positions: node?.inputs.position ? rows('position') - offset : Number.POSITIVE_INFINITY,
    tokenTypes: node?.inputs.types ? rows('token_type') : 0,
    ...(pad === undefined ? {} : { pad }),
  }
}

/**
 * Packs and checks the rows of a call.
 * @throws {DataError} ERR_DATA_BATCH, ERR_DATA_LENGTH, ERR_DATA_TOKEN naming row and position
 */
export function packRows(rows: Rows, limits: EncoderLimits): PackedRows {
  // Labels may come along: a batch for training serves for a forward pass too.
  checkKeys('batch', rows, ['inputIds', 'tokenTypeIds', 'labels'])
  const packed = packBatch(rows.inputIds, rows.tokenTypeIds)
  const { ids, cu, types } = packed
  for (let b = 0; b + 1 < cu.length; b++) {
    const length = cu[b + 1]! - cu[b]!
    if (length === 0) {
      throw new DataError('ERR_DATA_BATCH', `row ${b} has no tokens: give it its special tokens, or leave it out`, {
        field: 'inputIds',
        row: b,
      })
    }
    if (length > limits.positions) {
      throw new DataError(
        'ERR_DATA_LENGTH',
        `row ${b} has ${length} tokens, the model has positions for ${limits.positions}: cut it`,
        {
          field: 'inputIds',
          row: b,
          got: length,
          expected: limits.positions,
        },
      )
    }
  }
  checkBelow(ids, limits.vocabulary, cu, 'inputIds', 'the vocabulary')
  if (limits.pad !== undefined) refusePadding(ids, limits.pad, cu)
  if (types) checkBelow(types, Math.max(1, limits.tokenTypes), cu, 'tokenTypeIds', 'the token type table')
  if (limits.tokenTypes === 0) return { ids, cu }
  return { ids, cu, types: types ?? new Int32Array(ids.length) }
}

/** The model would give the tokens behind a padding token other positions than their places. */
function refusePadding(ids: Int32Array, pad: number, cu: Int32Array): void {
  const at = ids.indexOf(pad)
  if (at < 0) return
  const row = cu.findLastIndex((start) => start <= at)
  const position = at - cu[row]!
  throw new DataError(
    'ERR_DATA_TOKEN',
    `row ${row} of "inputIds" holds ${pad} at position ${position}, the id of padding, which this model's positions do not count: give rows without padding`,
    { field: 'inputIds', row, position, got: pad, expected: 'rows without padding' },
  )
}

function checkBelow(values: Int32Array, limit: number, cu: Int32Array, field: string, table: string): void {
  const at = values.findIndex((value) => value >= limit)
  if (at < 0) return
  const row = cu.findLastIndex((start) => start <= at)
  const position = at - cu[row]!
  throw new DataError(
    'ERR_DATA_TOKEN',
    `row ${row} of "${field}" holds ${values[at]} at position ${position}, but ${table} has ${limit} entries`,
    {
      field,
      row,
      position,
      got: values[at],
      expected: limit,
    },
  )
}
