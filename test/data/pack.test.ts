/** Batches cut into rows and put together again, and results as rows. */
import test from 'ava'
import { joinRows, packBatch, sliceRows, unpackRows } from '../../lib/data/pack.js'

const rows = [[5, 6, 7], [8], [9, 10]]
const types = [[0, 0, 1], [1], [0, 1]]

test('rows that are cut out are those of the batch, counted from their own start', (t) => {
  const part = sliceRows(packBatch(rows, types), 1, 3)
  t.deepEqual([...part.ids], [8, 9, 10])
  t.deepEqual([...part.types!], [1, 0, 1])
  t.deepEqual([...part.cu], [0, 1, 3])
})

test('parts put together are the batch, whatever the cuts; without types there are none', (t) => {
  for (const batch of [packBatch(rows, types), packBatch(rows)]) {
    for (const cut of [1, 2]) t.deepEqual(joinRows([sliceRows(batch, 0, cut), sliceRows(batch, cut, 3)]), batch)
    t.is(joinRows([batch]), batch)
  }
})

test('a result per token, or per sequence, comes back by row', (t) => {
  const { cu } = packBatch(rows)
  const perToken = unpackRows(
    Float32Array.from({ length: 12 }, (_, i) => i),
    cu,
    2,
    true,
  )
  t.deepEqual(
    perToken.map((row) => [...row]),
    [
      [0, 1, 2, 3, 4, 5],
      [6, 7],
      [8, 9, 10, 11],
    ],
  )
  const perSequence = unpackRows(Float32Array.of(1, 2, 3), cu, 1, false)
  t.deepEqual(
    perSequence.map((row) => [...row]),
    [[1], [2], [3]],
  )
})
