/** Wrong arguments throw at the call; what only the engine can see rejects. Both carry a code and details. */
import { availableParallelism } from 'node:os'
import test from 'ava'
import type { OptionError } from '../../lib/errors.js'
import { addon, describe } from '../../lib/runtime/binding.js'
import { resolveDevice, resolveThreads } from '../../lib/runtime/device.js'
import type { NativeBatch } from '../../lib/runtime/native-types.js'
import { plainSession } from '../support/plain_session.js'

/** For calls that TypeScript would not allow. */
const wrong = (value: unknown) => value as never

test('wrong arguments throw at the call', async (t) => {
  const { session, batch } = await plainSession()
  const { Weights, Session } = addon()
  t.throws(() => new Weights(wrong(undefined)), { code: 'ERR_OPTION' })
  t.throws(() => new Weights({ device: 'mmx' }), { code: 'ERR_DEVICE' })
  t.throws(() => new (wrong(Session) as new () => unknown)(), { code: 'ERR_OPTION', message: /Session\.create/ })
  t.throws(() => Session.create(wrong({}), new Uint8Array(4)), { code: 'ERR_OPTION' })
  t.throws(() => Session.create(new Weights({ device: 'scalar' }), wrong('program')), { code: 'ERR_OPTION' })
  t.throws(() => Session.create(new Weights({ device: 'scalar' }), new Uint8Array(4), { threads: 0 }), {
    code: 'ERR_OPTION',
    message: /threads: expected a whole number/,
  })
  t.throws(() => session.run(wrong(1), [batch]), { code: 'ERR_OPTION' })
  t.throws(() => session.run('small', wrong(batch)), { code: 'ERR_BATCH' })
  t.throws(() => session.run('small', [{ ...batch, ids: wrong([1]) }]), {
    code: 'ERR_BATCH',
    message: /batches\[0\]\.ids/,
  })
  t.throws(() => session.run('small', [{ ...batch, step: -1 }]), { code: 'ERR_BATCH' })
  t.throws(() => session.read(wrong('weights')), { code: 'ERR_OPTION', message: /'moment2'/ })
  t.throws(() => session.write('parameters', new Float32Array(1)), { code: 'ERR_OPTION' })
  t.throws(() => session.read('moment1'), { code: 'ERR_OPTION', message: /program has no moment1/ })
  t.throws(() => session.arena('gradients'), { code: 'ERR_OPTION', message: /program has no gradients/ })
  await t.notThrowsAsync(session.run('small', [batch]), 'a refused call leaves the session usable')
  await session.dispose()
})

test('a program that is none rejects', async (t) => {
  const weights = new (addon().Weights)({ device: 'scalar' })
  const { program, session, batch } = await plainSession()
  await t.throwsAsync(addon().Session.create(weights, new Uint8Array(3)), { code: 'ERR_PROGRAM' })
  await t.throwsAsync(addon().Session.create(weights, program), { code: 'ERR_PROGRAM', message: /is not loaded/ })
  await t.throwsAsync(session.run('small', [batch], program.slice(0, -4)), { code: 'ERR_PROGRAM' })
  t.throws(() => session.run('small', [batch], wrong('program')), { code: 'ERR_OPTION' })
  t.is((await session.run('small', [batch])).outputs.length, 1, 'the program before is still in force')
  await session.dispose()
})

test('a wrong batch rejects, names its index, and spoils nothing', async (t) => {
  const { session, batch } = await plainSession()
  const ids = batch.ids.slice()
  ids[5] = 1 << 30
  const broken: readonly [NativeBatch, string][] = [
    [{ ...batch, ids }, 'ERR_BATCH'],
    [{ ...batch, cu: Int32Array.of(0, 65, 64) }, 'ERR_BATCH'],
    [{ ...batch, cu: Int32Array.of(0) }, 'ERR_BATCH'],
    [{ ids: new Int32Array(65), cu: Int32Array.of(0, 65) }, 'ERR_CAPACITY'],
    [{ ...batch, cu: Int32Array.of(0, 20, 40, 64) }, 'ERR_CAPACITY'],
  ]
  const good = await session.run('small', [batch])
  for (const [item, code] of broken) {
    const error = await t.throwsAsync<Error & { details: { batch: number } }>(session.run('small', [batch, item]), {
      code,
    })
    t.is(error?.details.batch, 1)
  }
  await t.throwsAsync(session.run('nothing', [batch]), { code: 'ERR_PROGRAM', message: /it has: large, small/ })
  t.deepEqual((await session.run('small', [batch])).outputs, good.outputs)
  await session.dispose()
})

test('sequences without tokens are no error', async (t) => {
  const { session } = await plainSession(2)
  const { outputs } = await session.run('small', [{ ids: new Int32Array(0), cu: Int32Array.of(0, 0, 0) }])
  t.is(outputs[0]!.length, 0)
  await session.dispose()
})

test('weights that do not fit are refused, all or none', async (t) => {
  const weights = new (addon().Weights)({ device: 'scalar' })
  const part = { data: new Float32Array(6), rows: 2, transposed: false }
  const good = { key: 'a|0', form: 0, rows: 2, columns: 3, parts: [part] }
  await t.throwsAsync(weights.load([good, { ...good, key: 'b|0', rows: 3 }]), {
    code: 'ERR_WEIGHTS',
    message: /"b\|0"/,
  })
  t.false(weights.has('a|0'))
  await weights.load([good])
  t.true(weights.has('a|0'))
  t.is(weights.bytes(), 24)
  await t.throwsAsync(weights.load([good]), { code: 'ERR_WEIGHTS' })
  t.throws(() => weights.load([{ ...good, parts: [{ ...part, data: wrong(new Float64Array(6)) }] }]), {
    code: 'ERR_WEIGHTS',
  })
})

test('a device that cannot be used says why', (t) => {
  t.throws(() => resolveDevice('cuda'), { code: 'ERR_DEVICE', message: /without CUDA/ })
  const unknown = t.throws<OptionError>(() => resolveDevice(wrong('cuba')), {
    code: 'ERR_OPTION',
    message: 'option "device" must be one of auto, cpu, cuda, not "cuba"; did you mean "cuda"?',
  })
  t.like(unknown.details, { option: 'device', got: 'cuba', expected: 'one of auto, cpu, cuda' })
  t.throws(() => resolveDevice(wrong(null)), { code: 'ERR_OPTION' })
})

test('the CPU has float32 alone', (t) => {
  t.is(resolveDevice('cpu').precision, 'float32')
  t.is(resolveDevice('cpu', 'float32').target, resolveDevice('cpu').isa)
  const refused = t.throws<OptionError>(() => resolveDevice('cpu', 'tf32'), {
    code: 'ERR_OPTION',
    message: /option "precision" is tf32, which needs a GPU, but option "device" is the CPU: leave .* out/,
  })
  t.is(refused?.details.option, 'precision')
  t.throws(() => resolveDevice('auto', 'bfloat16'), { message: /as cuda cannot be used: .*without CUDA/ })
})

test('an instruction set that cannot be used says why', (t) => {
  const description = { ...describe(), isas: ['scalar'], compiledIsas: ['avx2', 'scalar'] }
  const resolveForced = (isa: string) => {
    const before = process.env['ONNX_ADAPTERS_ISA']
    process.env['ONNX_ADAPTERS_ISA'] = isa
    try {
      return resolveDevice('cpu', 'auto', description)
    } finally {
      if (before === undefined) delete process.env['ONNX_ADAPTERS_ISA']
      else process.env['ONNX_ADAPTERS_ISA'] = before
    }
  }
  t.throws(() => resolveForced('avx2'), { code: 'ERR_DEVICE', message: /this CPU \(.*\) lacks it/ })
  t.throws(() => resolveForced('scaler'), { code: 'ERR_DEVICE', message: /did you mean "scalar"/ })
  t.is(resolveForced('scalar').isa, 'scalar')
})

test('threads are a whole number', (t) => {
  const none = t.throws<OptionError>(() => resolveThreads(0), {
    code: 'ERR_OPTION',
    message: 'option "threads" must be a whole number of at least 1 and of at most 1024, not 0',
  })
  t.like(none.details, { option: 'threads', got: 0 })
  for (const threads of [1.5, 1025, NaN, '2']) t.throws(() => resolveThreads(wrong(threads)), { code: 'ERR_OPTION' })
  t.is(resolveThreads(3), 3)
  t.is(resolveThreads(), availableParallelism())
})
