/** Jobs of one native session: one run at a time, everything else in the order of the calls. */
import { stat } from 'node:fs/promises'
import test from 'ava'
import { plainSession } from '../support/plain_session.js'

test('a second run before the first settled is refused at the call', async (t) => {
  const { session, batch } = await plainSession()
  const first = session.run('small', [batch])
  t.throws(() => session.run('small', [batch]), { code: 'ERR_BUSY' })
  const { outputs } = await first
  const again = await session.run('small', [batch])
  t.deepEqual(again.outputs, outputs)
  await session.dispose()
})

test('read and write keep their places among runs', async (t) => {
  const { session, batch } = await plainSession()
  const original = await session.read('parameters')
  const before = session.run('small', [batch])
  const kept = session.read('parameters')
  const cleared = session.write('parameters', new Float32Array(original.length))
  const zeros = session.read('parameters')
  t.true((await before).outputs[0]!.some((value) => value !== 0))
  t.deepEqual(await kept, original)
  await cleared
  t.true((await zeros).every((value) => value === 0))
  const { outputs } = await session.run('small', [batch])
  t.true(outputs[0]!.every((value) => value === 0))
  await session.dispose()
})

test('a run does not hold up other work of the process', async (t) => {
  const { session, batch } = await plainSession()
  let settled = false
  const run = session
    .run(
      'large',
      Array.from({ length: 300 }, () => batch),
    )
    .then(() => (settled = true))
  await stat('.')
  t.false(settled, 'a file could be asked about while the run went on')
  await run
  await session.dispose()
})

test('one call carries many steps', async (t) => {
  const { session, batch } = await plainSession()
  const { losses, norms, milliseconds, outputs } = await session.run('small', [batch, batch, batch])
  t.deepEqual([losses.length, norms.length, milliseconds.length, outputs.length], [3, 3, 3, 3])
  t.true(milliseconds.every((time) => time >= 0))
  t.deepEqual(session.statistics(), { runs: 1, steps: 3 })
  await session.dispose()
})

test('the arena is the buffer itself, one ArrayBuffer for each', async (t) => {
  const { session, batch } = await plainSession()
  const arena = session.arena('parameters')
  t.is(session.arena('parameters'), arena)
  const view = new Float32Array(arena)
  t.deepEqual(view, await session.read('parameters'))
  view.fill(0)
  const { outputs } = await session.run('small', [batch])
  t.true(outputs[0]!.every((value) => value === 0))
  await session.dispose()
  t.is(view[0], 0, 'the memory lives as long as its ArrayBuffer')
})
