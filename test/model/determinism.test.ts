/** The same bits for the same seed on any number of threads, through whole training steps with dropout. */
import test from 'ava'
import { readGolden } from '../support/golden.js'
import { firstDifferent, goldenStart, goldenTrainer, loadGoldenBackbone, stepLosses } from '../support/model.js'

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
