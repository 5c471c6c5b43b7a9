/** Packing rows and labels, and messages that name row and position. */
import test from 'ava'
import { packBatch, unpackRows } from '../../lib/data/pack.js'
import { DataError } from '../../lib/errors.js'
import { encoderLimits, packRows } from '../../lib/train/batch.js'
import { packLabels, type Labels } from '../../lib/train/labels.js'
import type { TaskKind } from '../../lib/kinds.js'
import { tinyEncoder } from '../support/tiny_encoder.js'

const limits = encoderLimits(tinyEncoder().graph)

test('rows follow one another without padding', (t) => {
  const packed = packBatch([[1, 2, 3], [], [4]], [[0, 0, 1], [], [1]])
  t.deepEqual([...packed.ids], [1, 2, 3, 4])
  t.deepEqual([...packed.types!], [0, 0, 1, 1])
  t.deepEqual([...packed.cu], [0, 3, 3, 4])
  const rows = unpackRows(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), packed.cu, 2, true)
  t.deepEqual(
    rows.map((row) => [...row]),
    [[1, 2, 3, 4, 5, 6], [], [7, 8]],
  )
  t.deepEqual(
    unpackRows(Float32Array.of(1, 2, 3), packed.cu, 1, false).map((row) => [...row]),
    [[1], [2], [3]],
  )
})

test('limits are those of the tables; types are zeros where none are given', (t) => {
  t.deepEqual(limits, { vocabulary: 1000, positions: 128, tokenTypes: 2 })
  t.deepEqual([...packRows({ inputIds: [[1, 2]] }, limits).types!], [0, 0])
  t.false('types' in packRows({ inputIds: [[1, 2]], tokenTypeIds: [[0, 0]] }, { ...limits, tokenTypes: 0 }))
})

const wrongRows: readonly [string, object, string, RegExp][] = [
  ['no rows', { inputIds: [] }, 'ERR_DATA_BATCH', /at least one row/],
  [
    'a token outside of the vocabulary',
    { inputIds: [[1], [2, 1000]] },
    'ERR_DATA_TOKEN',
    /row 1 of "inputIds" holds 1000 at position 1/,
  ],
  ['a fraction', { inputIds: [[1.5]] }, 'ERR_DATA_BATCH', /holds 1\.5 at position 0/],
  ['a row without tokens', { inputIds: [[1], []] }, 'ERR_DATA_BATCH', /row 1 has no tokens/],
  [
    'a row that is too long',
    { inputIds: [new Array<number>(129).fill(1)] },
    'ERR_DATA_LENGTH',
    /row 0 has 129 tokens, the model has positions for 128/,
  ],
  [
    'types of another length',
    { inputIds: [[1, 2]], tokenTypeIds: [[0]] },
    'ERR_DATA_BATCH',
    /2 tokens, but 1 token types/,
  ],
  [
    'a token type that is not there',
    { inputIds: [[1]], tokenTypeIds: [[2]] },
    'ERR_DATA_TOKEN',
    /token type table has 2/,
  ],
]

for (const [what, rows, code, message] of wrongRows) {
  test(`rows: ${what}`, (t) => {
    t.throws(() => packRows(rows as { inputIds: number[][] }, limits), { instanceOf: DataError, code, message })
  })
}

test('a misspelt field is refused with the right name', (t) => {
  t.throws(() => packRows({ inputIDs: [[1]] } as never, limits), {
    code: 'ERR_OPTION',
    message: /did you mean "inputIds"/,
  })
})

const cu = Int32Array.of(0, 3, 5)

test('labels of every kind', (t) => {
  const pack = (kind: TaskKind, outputs: number, labels: Labels) => {
    const packed = packLabels(kind, outputs, labels, cu)
    return [packed instanceof Int32Array ? 'i32' : 'f32', ...packed]
  }
  t.deepEqual(pack('classification', 3, [2, 0]), ['i32', 2, 0])
  t.deepEqual(pack('regression', 1, [0.5, -3]), ['f32', 0.5, -3])
  t.deepEqual(
    pack('multilabel', 2, [
      [1, 0],
      [1, 1],
    ]),
    ['f32', 1, 0, 1, 1],
  )
  t.deepEqual(
    pack('span', 2, [
      [0, 2],
      [1, 1],
    ]),
    ['i32', 0, 2, 1, 1],
  )
  t.deepEqual(
    pack('token', 4, [
      [-100, 3, 0],
      [1, -100],
    ]),
    ['i32', -100, 3, 0, 1, -100],
  )
})

const wrongLabels: readonly [TaskKind, number, unknown, RegExp][] = [
  ['classification', 3, [0], /2 rows needs as many labels, got 1/],
  ['classification', 3, [0, 3], /label of row 1 is 3, expected a class from 0 to 2/],
  ['classification', 3, [0, 'yes'], /label of row 1 is yes/],
  ['regression', 1, [0, Number.NaN], /label of row 1 is NaN/],
  [
    'multilabel',
    2,
    [
      [0, 1],
      [0, 2],
    ],
    /label of row 1 is 2, expected 0 or 1/,
  ],
  ['multilabel', 2, [[0, 1], [0]], /label of row 1 must be a list of 2 numbers, got 1/],
  [
    'span',
    2,
    [
      [0, 1],
      [0, 2],
    ],
    /label of row 1 is 2, expected a token position from 0 to 1/,
  ],
  [
    'span',
    2,
    [
      [2, 1],
      [0, 1],
    ],
    /label of row 0 is 1, expected an end from its start, 2, on/,
  ],
  [
    'token',
    4,
    [
      [0, 0, 4],
      [0, 0],
    ],
    /label of row 0 is 4/,
  ],
  [
    'token',
    4,
    [
      [0, 0],
      [0, 0],
    ],
    /label of row 0 must be a list of 3 numbers, got 2/,
  ],
  [
    'token',
    4,
    [
      [-100, -100, -100],
      [-100, -100],
    ],
    /all labels of the 2 rows are -100, so none counts; expected a class from 0 to 3 for some token/,
  ],
]

for (const [kind, outputs, labels, message] of wrongLabels) {
  test(`${kind} labels ${JSON.stringify(labels)}`, (t) => {
    t.throws(() => packLabels(kind, outputs, labels as Labels, cu), {
      instanceOf: DataError,
      code: 'ERR_DATA_LABEL',
      message,
    })
  })
}
