/** The same bits for the same seed on any number of threads, through whole training steps with dropout. */
import test from 'ava'
import { loadBackbone, Trainer } from '../../lib/index.js'
import { readGolden } from '../support/golden.js'
import { firstDifferent, goldenStart, goldenTrainer, loadGoldenBackbone, stepLosses } from '../support/model.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

const golden = readGolden()

async function train(threads: number, seed: number) {
  const trainer = await goldenTrainer(golden, await loadGoldenBackbone(), { threads, seed, dropout: 0.1 })
  await goldenStart(golden, trainer)
  const losses = await stepLosses(golden, trainer, 6)
  const parameters = await trainer.parameters()
  await trainer.dispose()
  return { losses, parameters }
}

test('1, 2 and 3 threads', async (t) => {
  const one = await train(1, 3)
  for (const threads of [2, 3]) {
    const other = await train(threads, 3)
    t.deepEqual(other.losses, one.losses, `${threads} threads`)
    t.is(firstDifferent(other.parameters, one.parameters), undefined, `${threads} threads`)
  }
})

test('the same seed twice is the same run, another seed another one', async (t) => {
  const first = await train(1, 3)
  t.deepEqual((await train(1, 3)).losses, first.losses)
  t.notDeepEqual((await train(1, 4)).losses, first.losses)
})

const miniLm = sharedPath('models', 'all-MiniLM-L6-v2')

/** Lengths about the kernels' tiles, and enough tokens that every product is cut into several pieces of work. */
const lengths = [3, 17, 64, 1, 128, 31, 2, 90]

testUnless(lacksShared(miniLm), 'MiniLM on 1, 2 and 3 threads, adapters of size 64, dropout', async (t) => {
  const backbone = await loadBackbone(miniLm!, { verify: false })
  const batch = {
    inputIds: lengths.map((length, b) => Array.from({ length }, (_, i) => (1000 + 7919 * b + 104_729 * i) % 30_522)),
    labels: lengths.map((_, b) => b % 3),
  }
  const run = async (threads: number) => {
    const task = { kind: 'classification', outputs: 3 } as const
    const trainer = await Trainer.create({
      backbone,
      task,
      head: { pool: 'mean' },
      dropout: 0.1,
      device: 'cpu',
      threads,
    })
    const results = [
      await trainer.step(batch, { learningRate: 1e-3 }),
      await trainer.step(batch, { learningRate: 1e-3 }),
    ]
    const { gradients } = await trainer.gradients(batch)
    const [state, logits] = [await trainer.readState(), await trainer.forward(batch)]
    await trainer.dispose()
    return { results, gradients, state, logits }
  }
  const one = await run(1)
  t.true(one.results.every(({ loss }) => loss > 0))
  for (const threads of [2, 3]) {
    const other = await run(threads)
    const what = `${threads} threads`
    t.deepEqual(other.results, one.results, what)
    t.deepEqual(other.logits, one.logits, what)
    t.is(firstDifferent(other.gradients, one.gradients), undefined, what)
    for (const part of ['parameters', 'moment1', 'moment2'] as const)
      t.is(firstDifferent(other.state[part], one.state[part]), undefined, `${what}: ${part}`)
  }
})
