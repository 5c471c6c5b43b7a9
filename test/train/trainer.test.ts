/** The trainer as its callers see it: calls keep their order, whether or not they are awaited one by one. */
import test from 'ava'
import { Trainer } from '../../lib/train/trainer.js'
import type { TrainerOptions } from '../../lib/train/trainer_options.js'
import { firstDifferent } from '../support/model.js'
import { tinyBackbone } from '../support/tiny_encoder.js'

const backbone = tinyBackbone()
const row = (length: number, from = 1) => Array.from({ length }, (_, i) => (from + i * 7) % 50)

function create(options: Partial<TrainerOptions> = {}): Promise<Trainer> {
  return Trainer.create({
    backbone,
    task: { kind: 'classification', outputs: 3 },
    adapter: { size: 4 },
    device: 'cpu',
    threads: 1,
    ...options,
  })
}

const small = { inputIds: [row(5), row(9), row(1)], labels: [0, 2, 1] }
/** Needs a larger plan than a trainer begins with. */
const large = {
  inputIds: Array.from({ length: 40 }, (_, i) => row(1 + ((i * 37) % 60), i)),
  labels: Array.from({ length: 40 }, (_, i) => i % 3),
}
const rate = { learningRate: 1e-2 }

for (const [name, batch] of Object.entries({ small, large })) {
  test(`parameters asked for behind a step are those after it, ${name} batch`, async (t) => {
    const trainer = await create()
    const before = await trainer.parameters()
    const step = trainer.step(batch, rate)
    const behind = trainer.parameters()
    const state = trainer.readState()
    await step
    t.is(firstDifferent(await behind, await trainer.parameters()), undefined)
    t.not(firstDifferent(await behind, before), undefined)
    t.is((await state).step, 1)
    t.is(firstDifferent((await state).parameters, await trainer.tensors()), undefined)
    await trainer.dispose()
  })

  test(`dispose behind a step lets it finish, ${name} batch`, async (t) => {
    const trainer = await create()
    const step = trainer.step(batch, rate)
    const disposed = trainer.dispose()
    t.true(Number.isFinite((await step).loss))
    await disposed
    await t.throwsAsync(trainer.step(batch, rate), { code: 'ERR_DISPOSED' })
  })

  test(`dispose behind encode lets it finish, ${name} batch`, async (t) => {
    const encoder = await backbone.encoder({ device: 'cpu', threads: 1 })
    const encoded = encoder.encode({ inputIds: batch.inputIds })
    const disposed = encoder.dispose()
    t.is((await encoded).length, batch.inputIds.length)
    await disposed
  })
}

test('setting parameters and stepping refuse each other while one is under way', async (t) => {
  const trainer = await create()
  const values = new Map([['head.bias', { data: Float32Array.of(1, 2, 3) }]])
  const setting = trainer.setParameters(values)
  await t.throwsAsync(trainer.step(small, rate), { code: 'ERR_BUSY' })
  await setting
  t.deepEqual([...(await trainer.parameters()).get('head.bias')!.data], [1, 2, 3])

  const step = trainer.step(small, rate)
  await t.throwsAsync(trainer.setParameters(values), { code: 'ERR_BUSY' })
  await step
  const stepped = await trainer.parameters()
  t.notDeepEqual([...stepped.get('head.bias')!.data], [1, 2, 3], 'the update is there')

  await t.throwsAsync(trainer.setParameters(new Map([['head.bais', { data: new Float32Array(3) }]])), {
    code: 'ERR_OPTION',
  })
  await trainer.step(small, rate)
  t.is(trainer.stepCount, 2)
  await trainer.dispose()
})

test('two settings of different tensors: the second is refused, none is lost silently', async (t) => {
  const trainer = await create()
  const state = await trainer.readState()
  const first = trainer.setParameters(new Map([['head.bias', { data: Float32Array.of(1, 2, 3) }]]))
  await t.throwsAsync(trainer.setParameters(new Map([['head.bias', { data: new Float32Array(3) }]])), {
    code: 'ERR_BUSY',
  })
  await t.throwsAsync(trainer.writeState(state), { code: 'ERR_BUSY' })
  await first
  t.deepEqual([...(await trainer.parameters()).get('head.bias')!.data], [1, 2, 3])
  await trainer.dispose()
})

test('dispose behind setParameters lets it finish', async (t) => {
  const trainer = await create()
  const setting = trainer.setParameters(new Map([['head.bias', { data: Float32Array.of(1, 2, 3) }]]))
  const disposed = trainer.dispose()
  await t.notThrowsAsync(setting)
  await disposed
})
