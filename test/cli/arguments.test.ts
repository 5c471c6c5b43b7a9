/** Values of flags, as commander hands them over. */
import test from 'ava'
import { InvalidArgumentError } from 'commander'
import { dropout, layers, list, number, trainable } from '../../lib/cli/arguments.js'

test('numbers and lists', (t) => {
  t.is(number('1e-3'), 1e-3)
  t.deepEqual(list(' 8, 64,,256 '), ['8', '64', '256'])
  t.is(layers('all'), 'all')
  t.deepEqual(layers('0,5'), [0, 5])
  t.deepEqual(trainable('adapters,LayerNorm'), ['adapters', 'layerNorm'])
  t.deepEqual(trainable('top-2'), { topLayers: 2 })
  for (const text of ['', ' ', 'two', '1,5']) t.throws(() => number(text), { instanceOf: InvalidArgumentError })
})

test('dropout is one number, or one for each place', (t) => {
  t.is(dropout('0.1'), 0.1)
  t.deepEqual(dropout('hidden=0.1, head=0'), { hidden: 0.1, head: 0 })
  for (const text of ['hidden=0.1=3', 'hidden=', '=0.1', 'hidden', 'hidden=0.1,head', 'hidden=0.1,hidden=0.2'])
    t.throws(() => dropout(text), { instanceOf: InvalidArgumentError }, text)
})
