/** Trainings on a GPU that is played by the CPU, beside the same on the CPU's own kernels. */
import { join } from 'node:path'
import test from 'ava'
import { evaluate, Predictor, train, type TrainOptions } from '../../../lib/index.js'
import { readSafetensors, toFloats } from '../../../lib/formats/safetensors.js'
import type { OpenRunOptions } from '../../../lib/train/open_run.js'
import { readGolden } from '../../support/golden.js'
import { goldenStart, goldenTrainer, loadGoldenBackbone, stepLosses } from '../../support/model.js'
import { prepareTraining, readJson } from '../../support/training.js'

test('golden losses of ten steps', async (t) => {
  const golden = readGolden()
  const trainer = await goldenTrainer(golden, await loadGoldenBackbone(), { device: 'cuda', precision: 'float32' })
  await goldenStart(golden, trainer)
  const losses = await stepLosses(golden, trainer, golden.losses.length)
  losses.forEach((loss, i) => t.true(Math.abs(loss - golden.losses[i]!) <= 2e-5, `step ${i}: ${loss}`))
  await trainer.dispose()
})

const variants: Readonly<Record<string, Partial<TrainOptions>>> = {
  adapters: { dropout: 0.1 },
  'full fine-tuning': { adapter: false, trainable: 'all' },
}

for (const [name, options] of Object.entries(variants)) {
  test(`train() with ${name} ends where the CPU ends`, async (t) => {
    const small = { epochs: 1, trainRows: 40, ...options }
    const onCpu = await prepareTraining(t, { ...small, device: 'cpu' })
    const onGpu = await prepareTraining(t, { ...small, device: 'cuda:0', precision: 'float32' })
    const [cpu, gpu] = [await train(onCpu.options), await train(onGpu.options)]
    t.deepEqual(gpu.history[0]!.validation!.metrics, cpu.history[0]!.validation!.metrics)
    const difference = await relativeDifference(onGpu.options.output as string, onCpu.options.output as string)
    t.true(difference < 1e-3, `the parameters are ${difference} off`)
    const record = await readJson(join(onGpu.options.output as string, 'run.json'))
    t.deepEqual(record['device'], { kind: 'cuda', isa: 'cuda:0', precision: 'float32' })
  })
}

test('a run of the GPU predicts on both', async (t) => {
  const { options } = await prepareTraining(t, { epochs: 1, trainRows: 24, device: 'cuda' })
  const { output } = await train(options)
  const texts = ['red', 'blue and green', 'a very green one']
  const scores = await Promise.all(
    (['cpu', 'cuda'] as const).map(async (device) => {
      const predictor = await Predictor.load(output, { device })
      const predicted = await predictor.predict(texts)
      await predictor.dispose()
      return predicted
    }),
  )
  t.deepEqual(
    scores[0]!.map((p) => (p as { label: string }).label),
    scores[1]!.map((p) => (p as { label: string }).label),
  )
  const { metrics } = await evaluate({ run: output, data: options.validation!, device: 'cuda' })
  t.truthy(metrics)
})

test('rows of two tasks in one batch of the GPU', async (t) => {
  const { options, folder } = await prepareTraining(t, { epochs: 1, trainRows: 24, device: 'cpu' })
  const runs = [join(folder, 'one'), join(folder, 'two')]
  for (const [seed, output] of runs.entries()) await train({ ...options, output, seed })
  const texts = ['red', 'blue and green', 'a very green one']
  const inputs = texts.flatMap((text) => ['one', 'two'].map((task) => ({ text, task })))
  const predict = async (place: OpenRunOptions) => {
    await using predictor = await Predictor.load(runs, place)
    return await predictor.predict(inputs)
  }
  const cpu = await predict({ device: 'cpu' })
  for (const [precision, tolerance] of [['float32', 1e-4] as const, ['bfloat16', 0.03] as const]) {
    const gpu = await predict({ device: 'cuda', precision })
    for (const [i, { scores }] of cpu.entries())
      for (const [label, score] of Object.entries(scores!))
        t.true(Math.abs(score - gpu[i]!.scores![label]!) < tolerance, `${precision}: input ${i}, ${label}`)
  }
  t.notDeepEqual(cpu[0]!.scores, cpu[1]!.scores)
})

/**
 * ‖a - b‖ / ‖b‖ over all parameters: Adam makes a full step of a gradient that is only rounding noise, so single values
 * may be far off.
 */
async function relativeDifference(one: string, other: string): Promise<number> {
  const read = async (run: string) => (await readSafetensors(join(run, 'adapter.safetensors'))).tensors
  const [a, b] = [await read(one), await read(other)]
  let [difference, size] = [0, 0]
  for (const [name, tensor] of a) {
    const [left, right] = [toFloats(name, tensor), toFloats(name, b.get(name)!)]
    left.forEach((value, i) => {
      difference += (value - right[i]!) ** 2
      size += right[i]! ** 2
    })
  }
  return Math.sqrt(difference / size)
}
