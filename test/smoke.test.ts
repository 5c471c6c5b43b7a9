/** Runs first and fast: the addon loads, its list of ops is ours, and one linear layer multiplies. */
import test from 'ava'
import { compareOpTables } from '../lib/ops/index.js'
import { describe } from '../lib/runtime/binding.js'
import { builtFrom, CaseBuilder } from './support/cases.js'
import { runNative, usableIsas } from './support/device.js'

test('the addon describes itself', (t) => {
  const description = describe()
  t.true(description.isas.length > 0)
  t.true(description.isas.every((isa) => description.compiledIsas.includes(isa)))
  t.notThrows(() => compareOpTables(description.ops))
})

test('a linear layer of whole numbers', async (t) => {
  const g = new CaseBuilder([2], 'smoke')
  const node = g.node(
    'linear',
    {
      x: g.tokenRows('x', 2, Float32Array.of(1, 2, 3, 4)),
      w: g.frozen('w', [3, 2], Float32Array.of(1, 0, 0, 1, 1, 1)),
      b: g.frozen('b', [3], Float32Array.of(0, 0, 10)),
    },
    { activation: 'none' },
  )
  const scalars = { learningRate: 0, step: 0, seed: 0n }
  for (const isa of usableIsas()) {
    const [y] = await runNative(builtFrom(g, node), [node.outputs['y']!], { isa, threads: 1, scalars, spare: 0 })
    t.deepEqual([...y!], [1, 2, 13, 3, 4, 17], isa)
  }
})
