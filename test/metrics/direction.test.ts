import test from 'ava'
import { isBetter } from '../../lib/metrics/direction.js'

test('errors are better when smaller, all else when larger', (t) => {
  t.true(isBetter('accuracy', 0.9, 0.8))
  t.false(isBetter('accuracy', 0.8, 0.8))
  t.true(isBetter('mse', 0.8, 0.9))
  t.false(isBetter('mse', 0.9, 0.9))
})
