/** The precisions of a GPU beside each other. */
import { join } from 'node:path'
import test from 'ava'
import { train } from '../../../lib/index.js'
import { resolveDevice } from '../../../lib/runtime/device.js'
import type { Precision } from '../../../lib/runtime/precision.js'
import { readGolden } from '../../support/golden.js'
import { goldenStart, goldenTrainer, loadGoldenBackbone, stepLosses } from '../../support/model.js'
import { prepareTraining, readJson } from '../../support/training.js'

async function goldenLosses(precision: Precision | undefined, count: number): Promise<number[]> {
  const golden = readGolden()
  const options = { device: 'cuda', ...(precision && { precision }) } as const
  await using trainer = await goldenTrainer(golden, await loadGoldenBackbone(), options)
  await goldenStart(golden, trainer)
  return await stepLosses(golden, trainer, count)
}

test('a precision has weights and kernels of its own', (t) => {
  const name = (precision?: Precision) => resolveDevice('cuda', precision).target
  t.is(name('float32'), 'cuda:0')
  t.is(name('tf32'), 'cuda:0/tf32')
  t.is(resolveDevice('cuda', 'tf32').isa, 'cuda:0')
  t.is(resolveDevice('cuda', 'tf32').precision, 'tf32')
})

test('tf32 rounds the operands of products, and no more', async (t) => {
  const [exact, rounded] = [await goldenLosses('float32', 10), await goldenLosses('tf32', 10)]
  t.notDeepEqual(rounded, exact)
  rounded.forEach((loss, i) => t.true(Math.abs(loss - exact[i]!) <= 1e-3 * exact[0]!, `step ${i}: ${loss}`))
})

test('run.json says in which precision a run was trained', async (t) => {
  const { options } = await prepareTraining(t, { epochs: 1, trainRows: 8, device: 'cuda', precision: 'tf32' })
  const { output } = await train(options)
  const record = await readJson(join(output, 'run.json'))
  t.deepEqual(record['device'], { kind: 'cuda', isa: 'cuda:0', precision: 'tf32' })
})
