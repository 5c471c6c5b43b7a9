/** What the CPU says of values in bf16, for which it has no kernels. */
import test from 'ava'
import { dtypeNumbers } from '../../lib/plan/encode.js'
import { narrowEntries } from '../../lib/plan/narrow.js'
import { addon } from '../../lib/runtime/binding.js'
import { resolveDevice } from '../../lib/runtime/device.js'
import { builtFrom, CaseBuilder } from '../support/cases.js'
import { caseCapacity, caseEntries, caseLayout, compileEntries, open } from '../support/device.js'

const { isa } = resolveDevice('cpu')

test('a program with values in bf16 is refused', async (t) => {
  const g = new CaseBuilder([3], 'narrow')
  const node = g.node('add', { a: g.tokenRows('a', 8), b: g.tokenRows('b', 8) })
  const built = builtFrom(g, node)
  const entries = narrowEntries(caseEntries(built, Object.values(node.outputs)), caseLayout(built.contents))
  const scalars = { learningRate: 0, step: 0, seed: 0n }
  const compiled = compileEntries(entries, built.contents, caseCapacity(built, 0), scalars)
  await t.throwsAsync(() => open(compiled, isa, 1), {
    code: 'ERR_PROGRAM',
    message: /has values in bf16, for which the device .* is not made: plan it in float32/,
  })
})

test('a weight in bf16 is refused', async (t) => {
  const { Weights } = addon()
  const parts = [{ data: new Float32Array(4), rows: 2, transposed: false }]
  const entry = { key: 'w|raw', form: 0, dtype: dtypeNumbers.bf16, rows: 2, columns: 2, parts }
  await t.throwsAsync(() => new Weights({ device: isa }).load([entry]), {
    code: 'ERR_WEIGHTS',
    message: /"w\|raw": is to be held as bf16, which .* does not/,
  })
})
