import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { acquireLock, refuseHeld, type LockHolder } from '../../lib/formats/lock.js'
import { temporaryFolder } from '../support/folder.js'

const child = fileURLToPath(new URL('../support/lock_child.js', import.meta.url))

async function place(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  return { folder, file: join(folder, 'run.lock') }
}

/** The number of a process that has ended. */
const deadPid = () => spawnSync(process.execPath, ['-e', '']).pid

const holder = (more: Partial<LockHolder>): string =>
  JSON.stringify({ pid: deadPid(), host: hostname(), since: '2020-01-01T00:00:00.000Z', token: 'ab12', ...more })

test('one owner at a time', async (t) => {
  const { folder, file } = await place(t)
  const lock = await acquireLock(file)
  t.like(JSON.parse(await readFile(file, 'utf8')), { pid: process.pid, host: hostname() })
  const error = await t.throwsAsync(acquireLock(file), { code: 'ERR_RUN_BUSY', message: /this very process/ })
  t.like(error, { details: { holder: { pid: process.pid } } })
  await t.throwsAsync(refuseHeld(file), { code: 'ERR_RUN_BUSY' })
  await t.notThrowsAsync(lock.check())
  await lock.release()
  t.deepEqual(await readdir(folder), [])
  await t.notThrowsAsync(refuseHeld(file))
  const next = await acquireLock(file)
  // A lock that is released again takes no other one along.
  await lock.release()
  await t.notThrowsAsync(next.check())
  await next.release()
})

test('a lock that was taken away or replaced', async (t) => {
  const { file } = await place(t)
  const lock = await acquireLock(file)
  await writeFile(file, holder({}))
  await t.throwsAsync(lock.check(), { code: 'ERR_RUN_BUSY' })
  await lock.release()
  t.regex(await readFile(file, 'utf8'), /ab12/)
  await rm(file)
  await t.throwsAsync(lock.check(), { code: 'ERR_RUN_BUSY', message: /taken away/ })
})

for (const [what, content] of [
  ['a dead process', () => holder({})],
  ['an earlier process with the number of a living one', () => holder({ pid: process.pid, born: 'before' })],
  ['nobody: empty', () => ''],
  ['nobody: half written', () => holder({}).slice(0, 30)],
] as const) {
  test(`the lock of ${what} is taken over`, async (t) => {
    const { folder, file } = await place(t)
    await writeFile(file, content())
    await t.notThrowsAsync(refuseHeld(file))
    const lock = await acquireLock(file)
    await t.notThrowsAsync(lock.check())
    t.deepEqual(await readdir(folder), ['run.lock'])
    await lock.release()
  })
}

test('of a living process, and of another host, it is not', async (t) => {
  const { folder, file } = await place(t)
  const alive = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  t.teardown(() => alive.kill())
  await writeFile(file, holder({ pid: alive.pid! }))
  await t.throwsAsync(acquireLock(file), { code: 'ERR_RUN_BUSY', message: new RegExp(`process ${alive.pid} on`) })
  await writeFile(file, holder({ host: 'elsewhere' }))
  await t.throwsAsync(acquireLock(file), { code: 'ERR_RUN_BUSY', message: /on elsewhere.*remove .*run\.lock/ })
  t.deepEqual(await readdir(folder), ['run.lock'])
})

test('a process that died while it took a lock over', async (t) => {
  const { folder, file } = await place(t)
  await writeFile(file, holder({ token: 'aa' }))
  await writeFile(`${file}.aa`, holder({ token: 'bb' }))
  await writeFile(`${file}.aa.bb`, holder({ token: 'cc' }))
  const lock = await acquireLock(file)
  await t.notThrowsAsync(lock.check())
  t.deepEqual(await readdir(folder), ['run.lock'])
  await lock.release()
})

test('a lock goes with its process', async (t) => {
  const { folder, file } = await place(t)
  const running = spawn(process.execPath, [child, file, String(Date.now())], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.is(String(await once(running.stdout, 'data')).trim(), 'won')
  await t.throwsAsync(acquireLock(file), { code: 'ERR_RUN_BUSY' })
  running.stdin.end()
  await once(running, 'exit')
  t.deepEqual(await readdir(folder), [])
})

for (const [what, content] of [
  ['a stale lock', () => holder({})],
  ['no lock', undefined],
] as const) {
  test(`of many processes that find ${what}, one wins`, async (t) => {
    const { folder, file } = await place(t)
    if (content) await writeFile(file, content())
    const moment = String(Date.now() + 700)
    const all = Array.from({ length: 6 }, () =>
      spawn(process.execPath, [child, file, moment], { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    const answers = await Promise.all(all.map(async ({ stdout }) => String(await once(stdout, 'data')).trim()))
    t.deepEqual(answers.sort(), ['ERR_RUN_BUSY', 'ERR_RUN_BUSY', 'ERR_RUN_BUSY', 'ERR_RUN_BUSY', 'ERR_RUN_BUSY', 'won'])
    t.deepEqual(await readdir(folder), ['run.lock'])
    for (const { stdin } of all) stdin.end()
    await Promise.all(all.map((each) => each.exitCode ?? once(each, 'exit')))
  })
}
