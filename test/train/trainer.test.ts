/** The trainer as its callers see it: calls keep their order, whether or not they are awaited one by one. */
import test from 'ava'
import { OnnxAdaptersError, OptionError, TrainError } from '../../lib/errors.js'
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

test('parameters asked for behind setParameters are those it set', async (t) => {
  const trainer = await create()
  const setting = trainer.setParameters(new Map([['head.bias', { data: Float32Array.of(1, 2, 3) }]]))
  const [behind, tensors, state] = [trainer.parameters(), trainer.tensors(), trainer.readState()]
  await setting
  for (const tensor of [await behind, await tensors, (await state).parameters])
    t.deepEqual([...tensor.get('head.bias')!.data], [1, 2, 3])
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

/** Huge but finite parameters: the scores overflow, and the loss of the next step is no number. */
const huge = new Map([['head.weight', { data: new Float32Array(48).fill(3e38) }]])

test('a loss that is no number is an error that names the step, and nothing has moved', async (t) => {
  const trainer = await create()
  await trainer.step(small, rate)
  await trainer.setParameters(huge)
  const before = await trainer.readState()
  const error = await t.throwsAsync(trainer.step(small, rate), { instanceOf: TrainError, code: 'ERR_TRAIN_LOSS' })
  t.regex(error.message, /^step 2: the loss is (NaN|Infinity)/)
  t.regex(error.message, /learning rate .*0\.01/)
  t.like(error.details, { step: 2, learningRate: 1e-2 })
  t.deepEqual(await trainer.readState(), before)
  t.is(trainer.stepCount, 1)
  await trainer.dispose()
})

test('a bad parameter is named', async (t) => {
  const trainer = await create()
  // A moment of an earlier step so large that the next update overflows.
  const state = await trainer.readState()
  const name = 'layer.1.ffn.adapter.up.bias'
  const moment = { shape: [16], data: new Float32Array(16).fill(3e38) }
  await trainer.writeState({ ...state, moment1: new Map([...state.moment1, [name, moment]]) })
  await trainer.step(small, rate)
  const error = await t.throwsAsync(trainer.step(small, rate), { instanceOf: TrainError, code: 'ERR_TRAIN_LOSS' })
  t.regex(error.message, /parameter "layer\.1\.ffn\.adapter\.up\.bias" holds -?(NaN|Infinity)/)
  t.is(error.details['parameter'], name)
  await trainer.dispose()
})

test('parameters that are not finite are refused, by name and place, and nothing changes', async (t) => {
  const trainer = await create()
  const state = await trainer.readState()
  for (const bad of [NaN, Infinity, -Infinity]) {
    const tensors = new Map([['head.bias', { shape: [3], data: Float32Array.of(1, bad, bad) }]])
    const expected = {
      instanceOf: OptionError,
      code: 'ERR_OPTION',
      message: `tensor "head.bias" must hold finite numbers, but its value 1 is ${bad}`,
    }
    const error = await t.throwsAsync(trainer.setParameters(tensors), expected)
    t.like(error.details, { option: 'head.bias', index: 1, got: bad })
    await t.throwsAsync(trainer.writeState({ ...state, parameters: tensors }), expected)
    await t.throwsAsync(trainer.writeState({ ...state, moment2: tensors }), expected)
  }
  t.deepEqual(await trainer.readState(), state)
  await trainer.dispose()
})

test('a gradient that is not finite is an error although the loss is, not a skipped update', async (t) => {
  const trainer = await create()
  // A tiny scale before a huge weight: the scores are modest, the gradient of the scale overflows.
  const half = new Float32Array(48)
  half.fill(3e38, 0, 8)
  await trainer.setParameters(
    new Map([
      ['layer.1.ffn.layer_norm.weight', { data: new Float32Array(16).fill(1e-30) }],
      ['layer.1.ffn.layer_norm.bias', { data: new Float32Array(16) }],
      ['head.weight', { data: half }],
    ]),
  )
  const before = await trainer.readState()
  const { loss, gradientNorm } = await trainer.gradients(small)
  t.true(Number.isFinite(loss) && !Number.isFinite(gradientNorm), `${loss} ${gradientNorm}`)
  const error = await t.throwsAsync(trainer.step(small, rate), { instanceOf: TrainError, code: 'ERR_TRAIN_GRADIENT' })
  t.regex(error.message, /^step 1: the norm of the gradients is Infinity/)
  t.deepEqual(await trainer.readState(), before)
  await trainer.dispose()
})

test('several steps in one call stop at the first that fails', async (t) => {
  const trainer = await create()
  const rates = [1e-3, 1e38, 1e-3, 1e-3].map((learningRate) => ({ learningRate }))
  const error = await t.throwsAsync(trainer.stepMany([small, small, small, small], rates), { instanceOf: TrainError })
  t.is(error.details['step'], 3)
  t.is(trainer.stepCount, 2)
  await trainer.dispose()
})

test('a learning rate must be a float32 number', async (t) => {
  const trainer = await create()
  for (const learningRate of [1e300, 3.5e38, Infinity, NaN, -1])
    await t.throwsAsync(trainer.step(small, { learningRate }), { instanceOf: OptionError, code: 'ERR_OPTION' })
  t.is(trainer.stepCount, 0)
  await trainer.dispose()
})

test('a backbone that was released serves the models that are there, and no new ones', async (t) => {
  const own = tinyBackbone()
  const [kept, trainer] = await Promise.all([create(), create({ backbone: own })])
  own.release()
  for (const batch of [small, large]) t.deepEqual(await trainer.step(batch, rate), await kept.step(batch, rate))
  t.is(firstDifferent(await trainer.tensors(), await kept.tensors()), undefined)
  await t.throwsAsync(create({ backbone: own }), { code: 'ERR_DISPOSED', message: /load it again/ })
  await t.throwsAsync(own.encoder(), { code: 'ERR_DISPOSED' })
  await trainer.dispose()
  await kept.dispose()
})

test('what cannot be used is an error with a code at every door', async (t) => {
  const trainer = await create()
  const encoder = await backbone.encoder({ device: 'cpu', threads: 1 })
  const wrong = (value: unknown) => value as never
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    'Trainer.create()': () => Trainer.create(wrong(undefined)),
    'Trainer.create(null)': () => Trainer.create(wrong(null)),
    'no backbone': () => Trainer.create({ backbone: wrong(undefined), task: 'regression' }),
    'an empty backbone': () => Trainer.create({ backbone: wrong({}), task: 'regression' }),
    'setParameters()': () => trainer.setParameters(wrong(undefined)),
    'setParameters({})': () => trainer.setParameters(wrong({})),
    'a tensor that is none': () => trainer.setParameters(new Map([['head.bias', wrong(null)]])),
    'a tensor without data': () => trainer.setParameters(new Map([['head.bias', wrong({ shape: [3] })]])),
    'data of another type': () => trainer.setParameters(new Map([['head.bias', { data: wrong([1, 2, 3]) }]])),
    'a shape that is none': () =>
      trainer.setParameters(new Map([['head.bias', { data: new Float32Array(3), shape: wrong(3) }]])),
    'writeState()': () => trainer.writeState(wrong(undefined)),
    'a state without moments': () => trainer.writeState(wrong({ step: 0, parameters: new Map() })),
    'forward()': () => trainer.forward(wrong(undefined)),
    'forward of a list': () => trainer.forward(wrong([[1, 2]])),
    'evaluate()': () => trainer.evaluate(wrong(undefined)),
    'gradients(null)': () => trainer.gradients(wrong(null)),
    'step()': () => trainer.step(wrong(undefined), rate),
    'a step without options': () => trainer.step(small, wrong(undefined)),
    'a step with null for options': () => trainer.step(small, wrong(null)),
    'stepMany()': () => trainer.stepMany(wrong(undefined), wrong(undefined)),
    'fewer options than batches': () => trainer.stepMany([small, small], [rate]),
    'encode()': () => encoder.encode(wrong(undefined)),
    'encoder(null)': () => backbone.encoder(wrong(null)),
    'encoder(8)': () => backbone.encoder(wrong(8)),
  }
  for (const [what, call] of Object.entries(calls)) {
    const error = await t.throwsAsync<OnnxAdaptersError>(call(), { instanceOf: OnnxAdaptersError }, what)
    t.regex(error?.code ?? '', /^ERR_(OPTION|DATA_)/, what)
  }
  t.is(trainer.stepCount, 0)
  await t.notThrowsAsync(trainer.step(small, rate))
  await trainer.dispose()
  await encoder.dispose()
})
