import test from 'ava'
import { accuracy, binaryF1, confusion, macroF1, matthews } from '../../lib/metrics/classification.js'

const near = (a: number, b: number) => Math.abs(a - b) < 1e-12

test('two classes, by hand', (t) => {
  const gold = [1, 1, 1, 0, 0, 0, 0, 0]
  const predicted = [1, 1, 0, 1, 0, 0, 0, 0]
  // tp 2, fn 1, fp 1, tn 4
  t.deepEqual([...confusion(gold, predicted, 2)], [4, 1, 1, 2])
  t.is(accuracy(gold, predicted), 0.75)
  t.true(near(binaryF1(gold, predicted, 1), 4 / 6))
  t.true(near(binaryF1(gold, predicted, 0), 8 / 10))
  t.true(near(macroF1(gold, predicted, 2), (4 / 6 + 0.8) / 2))
  t.true(near(matthews(gold, predicted, 2), (2 * 4 - 1) / Math.sqrt(3 * 3 * 5 * 5)))
})

test('three classes, by hand', (t) => {
  const gold = [0, 1, 2, 2, 1, 0, 2, 1, 0, 2]
  const predicted = [0, 2, 2, 2, 1, 0, 1, 1, 1, 2]
  t.true(near(accuracy(gold, predicted), 0.7))
  t.true(near(macroF1(gold, predicted, 3), (0.8 + 4 / 7 + 0.75) / 3))
  // (c·s - Σ p·t) / sqrt((s² - Σp²)(s² - Σt²)) with c 7, s 10, p [2 4 4], t [3 3 4]
  t.true(near(matthews(gold, predicted, 3), (70 - 34) / Math.sqrt((100 - 36) * (100 - 34))))
})

test('a class that neither occurs nor is predicted does not count', (t) => {
  t.is(macroF1([0, 1], [0, 1], 5), 1)
})

test('what is undefined is 0', (t) => {
  t.is(accuracy([], []), 0)
  t.is(binaryF1([0, 0], [0, 0], 1), 0)
  t.is(matthews([0, 0, 1], [0, 0, 0], 2), 0)
  t.is(matthews([1, 1], [1, 1], 2), 0)
})

test('the best and the worst', (t) => {
  t.true(near(matthews([0, 1, 2, 0], [0, 1, 2, 0], 3), 1))
  t.true(near(matthews([0, 1, 0, 1], [1, 0, 1, 0], 2), -1))
})
