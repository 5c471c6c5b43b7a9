/** A training that is killed at random moments, and taken up each time, ends as one that was left alone. */
import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { evaluate, Predictor, train, type TrainOptions } from '../../lib/index.js'
import { uniform } from '../support/random.js'
import { outcomeOf, prepareTraining } from '../support/training.js'

const child = fileURLToPath(new URL('../support/train_child.js', import.meta.url))
const kills = 20

/** @returns the last step it told of before it was killed */
async function trainAndKill(
  options: TrainOptions,
  after: { readonly started: boolean; readonly milliseconds: number },
) {
  const running = spawn(process.execPath, [child, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<NodeJS.Signals | number | null>((resolve) =>
    running.once('exit', (code, signal) => resolve(signal ?? code)),
  )
  let told = ''
  const started = new Promise<void>((resolve) =>
    running.stdout.on('data', (data: Buffer) => {
      told += data.toString()
      resolve()
    }),
  )
  if (after.started) await Promise.race([started, ended])
  await wait(after.milliseconds)
  running.kill('SIGKILL')
  const ending = await ended
  return { ending, told: told.trim().split('\n') }
}

test(`${kills} times SIGKILL`, async (t) => {
  t.timeout(120_000)
  // More epochs than the kills leave time for; a checkpoint after each step, so that many fall into a write.
  const { folder, options } = await prepareTraining(t, { epochs: 40, checkpointSteps: 1, batchSize: 16 })
  await train({ ...options, checkpointSteps: 0 })
  const output = join(folder, 'killed')
  const random = uniform(20)
  const endings: unknown[] = []
  const steps: string[] = []
  for (let i = 0; i < kills; i++) {
    // Some before the first step: while the backbone is loaded, the folder made, the checkpoint read.
    const started = i % 5 !== 0
    const milliseconds = started ? 250 * random() : 500 * random()
    const { ending, told } = await trainAndKill({ ...options, output, resume: true }, { started, milliseconds })
    endings.push(ending)
    steps.push(told.at(-1)!)
  }
  t.deepEqual(new Set(endings), new Set(['SIGKILL']), steps.join(', '))
  await train({ ...options, output, resume: true })
  t.deepEqual(await outcomeOf(output), await outcomeOf(options.output))
  t.deepEqual((await readdir(output)).sort(), ['adapter.safetensors', 'metrics.jsonl', 'run.json'])
  const data = options.validation!
  t.deepEqual(
    await evaluate({ run: output, data, threads: 1 }),
    await evaluate({ run: options.output, data, threads: 1 }),
  )
  const texts = ['the red cat sees a dog .', 'a bird', '']
  const predictions = await Promise.all(
    [output, options.output].map(async (run) => {
      await using predictor = await Predictor.load(run, { threads: 1 })
      return (await predictor.predict(texts)).map(({ label, scores }) => ({ label, scores }))
    }),
  )
  t.deepEqual(predictions[0], predictions[1])
  t.log(`killed after ${steps.join(', ')}`)
})
