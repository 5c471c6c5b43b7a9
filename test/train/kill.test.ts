/** A training that is killed at random moments, and taken up each time, ends as one that was left alone. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
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

interface Moment {
  /** Lines that the child tells first: `start`, then a line a step. */
  readonly lines: number
  /** And then. */
  readonly milliseconds: number
}

async function trainAndKill(options: TrainOptions, { lines, milliseconds }: Moment) {
  const running = spawn(process.execPath, [child, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(running, 'exit')
  let told = ''
  const seen = new Promise<void>((resolve) =>
    running.stdout.on('data', (data: Buffer) => {
      told += data.toString()
      if (told.split('\n').length > lines) resolve()
    }),
  )
  if (lines > 0) await Promise.race([seen, ended])
  await wait(milliseconds)
  running.kill('SIGKILL')
  const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null]
  return { ending: signal ?? code, last: told.trimEnd().split('\n').at(-1)! }
}

test(`${kills} times SIGKILL`, async (t) => {
  t.timeout(120_000)
  // A checkpoint after each step, so that many kills fall into a write.
  const { folder, options } = await prepareTraining(t, { epochs: 50, checkpointSteps: 1, batchSize: 16 })
  await train({ ...options, checkpointSteps: 0 })
  const output = join(folder, 'killed')
  const random = uniform(20)
  const endings: unknown[] = []
  const places: string[] = []
  for (let i = 0; i < kills; i++) {
    // Some before the first step: while the backbone is loaded, the folder made, the checkpoint read.
    const early = { lines: 0, milliseconds: 400 * random() }
    const late = { lines: 1 + Math.floor(12 * random()), milliseconds: 20 * random() }
    const { ending, last } = await trainAndKill({ ...options, output, resume: true }, i % 5 === 0 ? early : late)
    endings.push(ending)
    places.push(last)
  }
  t.log(`killed after ${places.join(', ')}`)
  t.true(
    endings.every((ending) => ending === 'SIGKILL' || ending === 0),
    endings.join(),
  )
  // A fast machine may come to the end before the last kills.
  t.true(endings.filter((ending) => ending === 'SIGKILL').length >= 15, places.join())
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
})
