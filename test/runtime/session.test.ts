/** Sessions under a trainer: growing plans, busy and disposed errors, errors at the call site, shared weights. */
import test from 'ava'
import { DeviceError } from '../../lib/errors.js'
import { resolveDevice } from '../../lib/runtime/device.js'
import { Session } from '../../lib/runtime/session.js'
import { compileEncoder } from '../../lib/train/compile.js'
import { Trainer } from '../../lib/train/trainer.js'
import type { TrainerOptions } from '../../lib/train/trainer_options.js'
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

const batch = { inputIds: [row(5), row(9), row(1)], labels: [0, 2, 1] }

test('a batch above capacity plans again; parameters, moments and results stay', async (t) => {
  const large = {
    inputIds: Array.from({ length: 40 }, (_, i) => row(1 + ((i * 37) % 60), i)),
    labels: Array.from({ length: 40 }, (_, i) => i % 3),
  }
  const grown = await create()
  const fresh = await create()
  await grown.step(batch, { learningRate: 1e-2 })
  const before = grown.plan.capacity
  await grown.forward(large)
  const after = grown.plan.capacity
  t.true(after.tokens > before.tokens && after.sequences > before.sequences)
  await grown.step(batch, { learningRate: 1e-2 })
  for (let i = 0; i < 2; i++) await fresh.step(batch, { learningRate: 1e-2 })
  const [a, b] = [await grown.parameters(), await fresh.parameters()]
  t.deepEqual(a, b)
  t.deepEqual(await grown.forward(large), await fresh.forward(large))
  await grown.dispose()
  await fresh.dispose()
})

test('a second call while one runs is refused, and the first is not disturbed', async (t) => {
  const trainer = await create()
  const first = trainer.step(batch, { learningRate: 1e-3 })
  const error = await t.throwsAsync(trainer.step(batch, { learningRate: 1e-3 }), {
    instanceOf: DeviceError,
    code: 'ERR_BUSY',
  })
  t.regex(error.message, /await it first/)
  t.true(Number.isFinite((await first).loss))
  t.is(trainer.stepCount, 1)
  await t.notThrowsAsync(trainer.step(batch, { learningRate: 1e-3 }))
  await trainer.dispose()
})

test('after dispose every call says so; dispose may be called again', async (t) => {
  const trainer = await create()
  await trainer.dispose()
  await trainer.dispose()
  await t.throwsAsync(trainer.forward(batch), { code: 'ERR_DISPOSED' })
  await t.throwsAsync(trainer.parameters(), { code: 'ERR_DISPOSED' })
  t.throws(() => trainer.memory(), { code: 'ERR_DISPOSED' })
})

test('a native error carries its code and the stack of the call', async (t) => {
  const { isa } = resolveDevice('cpu')
  const session = await Session.create({
    ...compileEncoder(backbone.imported),
    weights: backbone.weights(isa),
    seed: [0, 0],
    threads: 1,
  })
  const wrong = { ids: Int32Array.of(49, 50), types: Int32Array.of(0, 0), cu: Int32Array.of(0, 2) }
  const error = await t.throwsAsync(callHere(), { instanceOf: DeviceError, code: 'ERR_BATCH' })
  t.regex(error.stack!, /callHere/)
  t.truthy(error.cause)
  await t.throwsAsync(session.run('no such entry', [{ ids: Int32Array.of(1), cu: Int32Array.of(0, 1) }]), {
    code: 'ERR_PROGRAM',
  })
  await session.dispose()

  async function callHere(): Promise<void> {
    await session.run('encode', [wrong])
  }
})

test('sessions share the frozen weights', async (t) => {
  const { native } = backbone.weights(resolveDevice('cpu').isa)
  const one = await create()
  const bytes = native.bytes()
  const two = await create({ seed: 1 })
  t.is(native.bytes(), bytes)
  t.true(bytes > 0)
  await one.dispose()
  await two.dispose()
})

test('a state read and written goes on as if nothing had been', async (t) => {
  const trainer = await create({ dropout: 0.1, seed: 5 })
  for (let i = 0; i < 3; i++) await trainer.step(batch, { learningRate: 1e-2 })
  const state = await trainer.readState()
  const other = await create({ dropout: 0.1, seed: 5 })
  await other.writeState(state)
  t.is(other.stepCount, 3)
  for (let i = 0; i < 3; i++) {
    t.deepEqual(await other.step(batch, { learningRate: 1e-2 }), await trainer.step(batch, { learningRate: 1e-2 }))
  }
  t.deepEqual(await other.readState(), await trainer.readState())
  await trainer.dispose()
  await other.dispose()
})

test('several steps in one call are the same steps', async (t) => {
  const together = await create({ dropout: 0.1 })
  const apart = await create({ dropout: 0.1 })
  const rates = [1e-3, 2e-3, 3e-3].map((learningRate) => ({ learningRate }))
  const results = await together.stepMany([batch, batch, batch], rates)
  for (const [i, rate] of rates.entries()) t.deepEqual(await apart.step(batch, rate), results[i])
  t.deepEqual(await together.parameters(), await apart.parameters())
  await together.dispose()
  await apart.dispose()
})

test('an untrained head is kept and stays as it is', async (t) => {
  const trainer = await create({ trainable: ['adapters'] })
  const before = await trainer.tensors()
  t.false((await trainer.parameters()).has('head.weight'))
  await trainer.step(batch, { learningRate: 1e-2 })
  const after = await trainer.tensors()
  t.deepEqual(after.get('head.weight'), before.get('head.weight'))
  t.notDeepEqual(after.get('layer.0.ffn.adapter.up.weight'), before.get('layer.0.ffn.adapter.up.weight'))
  await trainer.dispose()
})

test('parameters of a wrong name or size are refused', async (t) => {
  const trainer = await create()
  const data = new Float32Array(3)
  await t.throwsAsync(trainer.setParameters(new Map([['head.bais', { data }]])), {
    code: 'ERR_OPTION',
    message: /did you mean "head.bias"/,
  })
  await t.throwsAsync(trainer.setParameters(new Map([['head.weight', { data }]])), {
    code: 'ERR_OPTION',
    message: /must be \[3, 16\]/,
  })
  await t.throwsAsync(trainer.step(batch, { learningRate: Number.NaN }), { code: 'ERR_OPTION' })
  await t.throwsAsync(trainer.step(batch, { learningRate: -1 }), { code: 'ERR_OPTION' })
  await t.throwsAsync(trainer.step(batch, { lr: 1 } as never), { code: 'ERR_OPTION' })
  await trainer.dispose()
})
