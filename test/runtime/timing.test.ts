/** Times of single ops, and the roof: what the benchmark reads off a session. */
import test from 'ava'
import { addon } from '../../lib/runtime/binding.js'
import { resolveDevice } from '../../lib/runtime/device.js'
import { Session } from '../../lib/runtime/session.js'
import { compileEncoder } from '../../lib/train/compile.js'
import { plainSession } from '../support/plain_session.js'
import { tinyBackbone } from '../support/tiny_encoder.js'

const backbone = tinyBackbone()
const batch = { ids: Int32Array.of(1, 2, 3, 4, 5), types: new Int32Array(5), cu: Int32Array.of(0, 2, 5) }

async function open(timing: boolean): Promise<Session> {
  const { isa } = resolveDevice('cpu')
  const compiled = compileEncoder(backbone.imported)
  return Session.create({ ...compiled, weights: backbone.weights(isa), seed: [0, 0], threads: 1, timing })
}

test('with timing every op has a time, and together they are no more than the step', async (t) => {
  const session = await open(true)
  for (const count of [1, 3]) {
    const { opMilliseconds, milliseconds } = await session.run(
      'encode',
      Array.from({ length: count }, () => batch),
    )
    t.is(opMilliseconds!.length, count)
    const { nodes } = session.plan.entries[0]!.entry
    for (const [i, times] of opMilliseconds!.entries()) {
      t.is(times.length, nodes.length)
      t.true(times.every((time) => time >= 0) && times.some((time) => time > 0))
      const sum = times.reduce((total, time) => total + time, 0)
      t.true(sum <= milliseconds[i]!, `${sum} of ${milliseconds[i]} ms`)
    }
  }
  await session.dispose()
})

test('timing goes on after a larger batch made the session plan again', async (t) => {
  const session = await open(true)
  const large = { ids: new Int32Array(600).fill(3), types: new Int32Array(600), cu: Int32Array.of(0, 300, 600) }
  const before = session.plan
  const { opMilliseconds } = await session.run('encode', [large])
  t.not(session.plan, before)
  t.true(opMilliseconds![0]!.some((time) => time > 0))
  await session.dispose()
})

test('times change no result, and without timing there are none', async (t) => {
  const [timed, plain] = [await open(true), await open(false)]
  const [a, b] = [await timed.run('encode', [batch]), await plain.run('encode', [batch])]
  t.deepEqual(a.outputs, b.outputs)
  t.is(b.opMilliseconds, undefined)
  await Promise.all([timed.dispose(), plain.dispose()])
})

test('the roof is a rate that this machine can have, and more than a product of matrices reaches', async (t) => {
  const { session, batch: rows } = await plainSession()
  let best = 0
  let product = 0
  // Other processes may take the machine away in any one of these.
  for (let i = 0; i < 20 && (i < 2 || best < product); i++) {
    best = Math.max(best, await session.measureRoof(30))
    const { milliseconds } = await session.run('large', [rows, rows, rows])
    const flops = 2 * rows.ids.length * 512 * 512
    product = Math.max(product, flops / (Math.min(...milliseconds) / 1e3))
  }
  t.true(best >= product, `${best} against ${product}`)
  t.true(best > 1e8 && best < 1e13, `${best} a second`)
  t.log(`roof ${(best / 1e9).toFixed(0)}, product ${(product / 1e9).toFixed(0)} GFLOP/s on 2 threads`)
  t.throws(() => void session.measureRoof(-1), { code: 'ERR_OPTION' } as object)
  await session.dispose()
  t.throws(() => void session.measureRoof(1), { code: 'ERR_DISPOSED' } as object)
})

test('every instruction set of this CPU has a roof', async (t) => {
  for (const isa of addon().describe().isas) {
    const session = await Session.create({
      ...compileEncoder(backbone.imported),
      weights: backbone.weights(isa),
      seed: [0, 0],
      threads: 1,
    })
    const rate = await session.measureRoof(10)
    t.log(`${isa}: ${(rate / 1e9).toFixed(1)} GFLOP/s on 1 thread`)
    t.true(rate > 1e8)
    await session.dispose()
  }
})
