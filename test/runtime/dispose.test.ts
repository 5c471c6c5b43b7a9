/** What a native session does after dispose. */
import test from 'ava'
import { plainSession } from '../support/plain_session.js'

test('dispose waits for the jobs before it, and later calls throw', async (t) => {
  const { session, batch } = await plainSession()
  const run = session.run('small', [batch])
  const disposed = session.dispose()
  t.throws(() => session.run('small', [batch]), { code: 'ERR_DISPOSED' })
  t.throws(() => session.read('parameters'), { code: 'ERR_DISPOSED' })
  t.throws(() => session.write('parameters', new Float32Array(1)), { code: 'ERR_DISPOSED' })
  t.throws(() => session.memory(), { code: 'ERR_DISPOSED' })
  t.throws(() => session.arena('parameters'), { code: 'ERR_DISPOSED' })
  t.is((await run).outputs.length, 1)
  await disposed
})

test('dispose may be called again, at any time', async (t) => {
  const { session } = await plainSession()
  const first = session.dispose()
  const second = session.dispose()
  await Promise.all([first, second])
  await t.notThrowsAsync(session.dispose())
})

test('many sessions come and go', async (t) => {
  for (let i = 0; i < 20; i++) {
    const { session, batch } = await plainSession()
    t.is((await session.run('small', [batch])).outputs.length, 1)
    if (i % 2) await session.dispose()
  }
})
