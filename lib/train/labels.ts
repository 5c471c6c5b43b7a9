import { DataError } from '../errors.js'
import { ignoredLabel, type TaskKind } from '../kinds.js'

/** classification, regression `number[]`; multilabel `number[][]` of 0/1; span `[start, end][]`; token `number[][]`. */
export type Labels = ArrayLike<number | ArrayLike<number>>

/**
 * The labels of a batch as its loss reads them: i32 or f32, flat.
 * @param cu cumulative lengths i32[B+1] of the rows they belong to
 * @throws {DataError} ERR_DATA_LABEL naming the row, what was found and what was expected
 */
export function packLabels(
  kind: TaskKind,
  outputs: number,
  labels: Labels | undefined,
  cu: Int32Array,
): Int32Array | Float32Array {
  const rows = cu.length - 1
  if (typeof labels?.length !== 'number' || labels.length !== rows) {
    const got = labels === undefined ? 'none' : String(labels.length)
    throw new DataError('ERR_DATA_LABEL', `a batch of ${rows} rows needs as many labels, got ${got}`, {
      field: 'labels',
      got,
      expected: rows,
    })
  }
  const lengthOf = (row: number) => cu[row + 1]! - cu[row]!
  switch (kind) {
    case 'classification':
      return Int32Array.from(labels as ArrayLike<number>, (label, row) =>
        check(label, row, isIndex(label, outputs), `a class from 0 to ${outputs - 1}`),
      )
    case 'regression':
      return Float32Array.from(labels as ArrayLike<number>, (label, row) =>
        check(label, row, Number.isFinite(label), 'a finite number'),
      )
    case 'multilabel': {
      const flat = flatten(labels, cu, () => outputs)
      return Float32Array.from(flat, (label, i) =>
        check(label, Math.floor(i / outputs), label === 0 || label === 1, '0 or 1'),
      )
    }
    case 'span': {
      const flat = flatten(labels, cu, () => 2)
      const spans = Int32Array.from(flat, (position, i) => {
        const row = i >> 1
        return check(position, row, isIndex(position, lengthOf(row)), `a token position from 0 to ${lengthOf(row) - 1}`)
      })
      spans.forEach((position, i) => {
        const ordered = i % 2 === 0 || position >= spans[i - 1]!
        check(position, i >> 1, ordered, `an end from its start, ${spans[i - 1]}, on`)
      })
      return spans
    }
    case 'token': {
      const flat = flatten(labels, cu, lengthOf)
      if (flat.every((label) => label === ignoredLabel)) throw noneCounts(rows, outputs)
      return Int32Array.from(flat, (label, i) =>
        check(
          label,
          cu.findLastIndex((start) => start <= i),
          label === ignoredLabel || isIndex(label, outputs),
          `a class from 0 to ${outputs - 1}, or ${ignoredLabel}`,
        ),
      )
    }
    default:
      return kind satisfies never
  }
}

/** A loss of nothing would be 0, as if all were learnt. */
function noneCounts(rows: number, outputs: number): DataError {
  const expected = `a class from 0 to ${outputs - 1} for some token`
  return new DataError(
    'ERR_DATA_LABEL',
    `all labels of the ${rows} rows are ${ignoredLabel}, so none counts; expected ${expected}`,
    { field: 'labels', got: ignoredLabel, expected },
  )
}

function flatten(labels: Labels, cu: Int32Array, widthOf: (row: number) => number): number[] {
  const flat: number[] = []
  for (let row = 0; row + 1 < cu.length; row++) {
    const own: unknown = labels[row]
    const length = typeof own === 'object' && own !== null ? (own as ArrayLike<number>).length : undefined
    if (length !== widthOf(row)) {
      throw new DataError(
        'ERR_DATA_LABEL',
        `the label of row ${row} must be a list of ${widthOf(row)} numbers, got ${length ?? typeof own}`,
        {
          field: 'labels',
          row,
          got: length,
          expected: widthOf(row),
        },
      )
    }
    for (let i = 0; i < length; i++) flat.push((own as ArrayLike<number>)[i]!)
  }
  return flat
}

function isIndex(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit
}

function check(label: number, row: number, fits: boolean, expected: string): number {
  if (fits) return label
  throw new DataError('ERR_DATA_LABEL', `the label of row ${row} is ${String(label)}, expected ${expected}`, {
    field: 'labels',
    row,
    got: label,
    expected,
  })
}
