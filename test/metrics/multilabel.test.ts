import test from 'ava'
import { macroF1, microF1, subsetAccuracy } from '../../lib/metrics/multilabel.js'
import { draws } from '../support/draws.js'

const near = (a: number, b: number) => Math.abs(a - b) < 1e-12

test('by hand', (t) => {
  const gold = [
    [1, 0, 1],
    [0, 1, 0],
    [0, 0, 0],
    [1, 1, 0],
  ]
  const predicted = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 0],
    [0, 1, 1],
  ]
  // Right 3 of 5 gold and 4 predicted; by label 2·1/3, 2·2/4, 0/2.
  t.true(near(microF1(gold, predicted, 3), 6 / 9))
  t.true(near(macroF1(gold, predicted, 3), (2 / 3 + 1 + 0) / 3))
  t.is(subsetAccuracy(gold, predicted, 3), 0.5)
})

test('random rows with a label that never occurs, as scikit-learn 1.9', (t) => {
  const draw = draws()
  const row = (value: (k: number) => number) => Array.from({ length: 6 }, (_, k) => value(k))
  const gold = Array.from({ length: 40 }, () => row(() => Number(draw() % 3 === 0)))
  const predicted = gold.map((own) => row((k) => (draw() % 4 ? own[k]! : draw() % 2)))
  for (const own of [...gold, ...predicted]) own[5] = 0
  t.true(near(microF1(gold, predicted, 6), 0.8428571428571429))
  t.true(near(macroF1(gold, predicted, 6), 0.6954346254630884))
  t.true(near(subsetAccuracy(gold, predicted, 6), 0.525))
})

test('what is undefined is 0', (t) => {
  t.is(microF1([[0, 0]], [[0, 0]], 2), 0)
  t.is(macroF1([[0, 0]], [[0, 0]], 2), 0)
  t.is(subsetAccuracy([[0, 0]], [[0, 0]], 2), 1)
  t.is(subsetAccuracy([], [], 2), 0)
})
