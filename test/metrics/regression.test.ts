import test from 'ava'
import { meanSquaredError, pearson, ranks, spearman } from '../../lib/metrics/regression.js'
import { draws } from '../support/draws.js'

const near = (a: number, b: number) => Math.abs(a - b) < 1e-12

test('by hand', (t) => {
  t.is(meanSquaredError([1, 2, 3], [1, 4, 0]), 13 / 3)
  // Deviations -1 0 1 and -2 -1 3: 5 / sqrt(2 · 14).
  t.true(near(pearson([1, 2, 3], [0, 1, 5]), 5 / Math.sqrt(28)))
  t.true(near(pearson([1, 2, 3], [5, 3, 1]), -1))
  t.is(spearman([1, 2, 3], [0, 1, 500]), 1)
})

test('the examples in the documentation of scipy', (t) => {
  t.true(near(pearson([1, 2, 3, 4, 5], [10, 9, 2.5, 6, 4]), -0.7426106572325056))
  t.true(near(spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]), 0.8207826816681233))
})

test('equal values share the mean of their ranks', (t) => {
  t.deepEqual([...ranks([10, 20, 10, 30, 20, 20])], [1.5, 4, 1.5, 6, 4, 4])
  t.deepEqual([...ranks([7, 7, 7])], [2, 2, 2])
  t.deepEqual([...ranks([3, -1, 2])], [3, 1, 2])
})

test('many ties, as scipy 1.17', (t) => {
  const draw = draws()
  const x = Array.from({ length: 50 }, () => draw() % 7)
  const y = x.map((value) => (draw() % 5) + value)
  t.true(near(pearson(x, y), 0.852385396177297))
  t.true(near(spearman(x, y), 0.8517232394176159))
})

test('large means lose nothing', (t) => {
  const a = [1, 2, 3, 4].map((x) => 1e9 + x)
  t.true(near(pearson(a, [1, 3, 2, 4]), 0.8))
})

test('what is undefined is 0', (t) => {
  t.is(pearson([1, 1, 1], [1, 2, 3]), 0)
  t.is(spearman([1, 2, 3], [5, 5, 5]), 0)
  t.is(pearson([], []), 0)
  t.is(meanSquaredError([], []), 0)
})
