/** Trainings that store their large values in bf16, beside the same in f32. */
import test from 'ava'
import { resolveDevice } from '../../../lib/runtime/device.js'
import type { Precision } from '../../../lib/runtime/precision.js'
import { readGolden } from '../../support/golden.js'
import { goldenStart, goldenTrainer, loadGoldenBackbone, stepLosses } from '../../support/model.js'

const golden = readGolden()
const backbone = loadGoldenBackbone()

async function goldenLosses(precision: Precision, count: number, learningRate: number): Promise<number[]> {
  await using trainer = await goldenTrainer(golden, await backbone, { device: 'cuda', precision })
  await goldenStart(golden, trainer)
  return await stepLosses({ ...golden, optimizer: { ...golden.optimizer, learningRate } }, trainer, count)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

test('auto on a GPU is bfloat16', (t) => {
  t.is(resolveDevice('cuda').precision, 'bfloat16')
  t.is(resolveDevice('auto').target, 'cuda:0/bfloat16')
})

test('of 100 losses the last 20 have the mean of float32', async (t) => {
  // Slow enough that a loss is left to compare.
  const rate = golden.optimizer.learningRate / 20
  const [exact, narrow] = [await goldenLosses('float32', 100, rate), await goldenLosses('bfloat16', 100, rate)]
  t.notDeepEqual(narrow, exact)
  const [want, got] = [mean(exact.slice(-20)), mean(narrow.slice(-20))]
  t.log(`first ${exact[0]}, last 20: float32 ${want}, bfloat16 ${got}`)
  t.true(want < 0.8 * exact[0]!, `nothing was learnt: ${want}`)
  t.true(Math.abs(got - want) <= 0.02 * want, `float32 ${want}, bfloat16 ${got}`)
})

test('gradients are those of float32 but for roundings, and the same each time', async (t) => {
  const gradients = async (precision: Precision) => {
    await using trainer = await goldenTrainer(golden, await backbone, { device: 'cuda', precision, dropout: 0.1 })
    await goldenStart(golden, trainer)
    const { inputIds, tokenTypeIds, labels } = golden
    return (await trainer.gradients({ inputIds, tokenTypeIds, labels })).gradients
  }
  const [exact, narrow, again] = [await gradients('float32'), await gradients('bfloat16'), await gradients('bfloat16')]
  t.deepEqual(again, narrow)
  let [difference, size] = [0, 0]
  for (const [name, { data }] of exact) {
    data.forEach((value, i) => {
      difference += (narrow.get(name)!.data[i]! - value) ** 2
      size += value ** 2
    })
  }
  t.true(Math.sqrt(difference / size) < 0.02, `${Math.sqrt(difference / size)} off`)
})

test('memory of activations and frozen weights is half', async (t) => {
  const bytes = async (precision: Precision) => {
    await using trainer = await goldenTrainer(golden, await backbone, { device: 'cuda', precision })
    return trainer.memory()
  }
  const [wide, narrow] = [await bytes('float32'), await bytes('bfloat16')]
  t.log(wide, narrow)
  t.true(narrow.activations < 0.65 * wide.activations)
  t.true(narrow.frozen < 0.6 * wide.frozen)
})
