/** The closing line of `npm test` counts what ava says: here ava itself runs on a few tests, in a project of their own. */
import { spawn } from 'node:child_process'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { temporaryFolder, writeFiles } from '../support/folder.js'
import { packagePath } from '../support/shared.js'

interface Tally {
  countAva(text: string): { passed: number; failed: number; skipped: number }
}

const { countAva } = (await import(pathToFileURL(packagePath('scripts', 'tally.mjs')).href)) as Tally

const passing = [`test('fine', (t) => t.is(1, 1))`, `test('fine too', (t) => t.is(1, 1))`]
const skipped = [`test.skip('no GPU', (t) => t.is(1, 1))`, `test.serial.skip('no files', (t) => t.is(1, 1))`]
const failing = `test('wrong', (t) => t.fail())`
const crashing = `test('crash', async (t) => { process.nextTick(() => { throw new Error('on purpose') }); await t.is(1, 1) })`

async function runAva(t: ExecutionContext, tests: readonly string[], environment: object = {}): Promise<string> {
  const folder = await temporaryFolder(t)
  await symlink(packagePath('node_modules'), join(folder, 'node_modules'))
  const lines = [`import test from 'ava'`, ...tests].join('\n')
  await writeFiles(folder, { 'package.json': '{ "type": "module" }', 'one.test.js': lines })
  return new Promise((finish, fail) => {
    const ava = packagePath('node_modules', 'ava', 'entrypoints', 'cli.mjs')
    const env = { ...process.env, ...environment }
    const child = spawn(process.execPath, [ava], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    child.once('error', fail)
    child.once('close', () => finish(text))
  })
}

test('tests that did not run are skipped, not passed', async (t) => {
  t.deepEqual(countAva(await runAva(t, [...passing, ...skipped])), { passed: 2, failed: 0, skipped: 2 })
})

test('and also where another failed', async (t) => {
  t.deepEqual(countAva(await runAva(t, [...passing, ...skipped, failing])), { passed: 2, failed: 1, skipped: 2 })
})

test('colours change nothing', async (t) => {
  const text = await runAva(t, [...passing, ...skipped, failing], { FORCE_COLOR: '1' })
  t.true(text.includes('\u001b['))
  t.deepEqual(countAva(text), { passed: 2, failed: 1, skipped: 2 })
})

test('an error outside of any test is a failure', async (t) => {
  const { failed } = countAva(await runAva(t, [...passing, crashing]))
  t.is(failed, 1)
})

test('without closing sums, as of a run that was killed', (t) => {
  t.deepEqual(countAva('  ✔ a › fine (1.2s)\n  - [skip] a › no GPU\n'), { passed: 1, failed: 0, skipped: 1 })
})
