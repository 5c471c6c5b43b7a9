import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { isTemporary, writeAt, writeAtomic, writeAtomicWith } from '../../lib/formats/atomic.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'
import { failHandles } from '../support/full_disk.js'

test.serial('the whole new content, and nothing beside it', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'a.txt')
  await writeAtomic(file, 'one', new Uint8Array([33, 10]))
  t.is(await readFile(file, 'utf8'), 'one!\n')
  await Promise.all([writeAtomic(file, 'two'), writeAtomic(file, 'two'), writeAtomic(join(folder, 'b.txt'), '')])
  t.is(await readFile(file, 'utf8'), 'two')
  t.deepEqual((await readdir(folder)).sort(), ['a.txt', 'b.txt'])
})

for (const [method, code, reason] of [
  ['writeFile', 'ENOSPC', /no space is left/],
  ['writeFile', 'EDQUOT', /quota/],
  ['sync', 'EIO', /does not answer/],
] as const) {
  test.serial(`${code} of ${method} leaves the old content, and nothing beside it`, async (t) => {
    const folder = await temporaryFolder(t)
    const file = join(folder, 'a.txt')
    await writeAtomic(file, 'old')
    t.teardown(await failHandles(method, code))
    await t.throwsAsync(writeAtomic(file, 'a new content'), { code: 'ERR_RUN_WRITE', message: reason })
    t.is(await readFile(file, 'utf8'), 'old')
    t.deepEqual(await readdir(folder), ['a.txt'])
  })
}

test.serial('a name that cannot be taken', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'a', 'b'), { recursive: true })
  await t.throwsAsync(writeAtomic(join(folder, 'a'), 'text'), { code: 'ERR_RUN_WRITE' })
  await t.throwsAsync(writeAtomic(join(folder, 'absent', 'c'), 'text'), { code: 'ERR_RUN_WRITE', message: /folder/ })
  await writeFiles(folder, { file: '' })
  await t.throwsAsync(writeAtomic(join(folder, 'file', 'c'), 'text'), { code: 'ERR_RUN_WRITE', message: /is a file/ })
  t.deepEqual((await readdir(folder)).sort(), ['a', 'file'])
})

test.serial('a writer that fills the file itself, at places of its own', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'a.txt')
  await writeAtomicWith(file, async (handle) => {
    await writeAt(handle, Buffer.from('cd'), 2)
    await writeAt(handle, Buffer.from('ab'))
  })
  t.is(await readFile(file, 'utf8'), 'abcd')
  const own = new RangeError('the source is too short')
  t.is(await t.throwsAsync(writeAtomicWith(file, () => Promise.reject(own))), own)
  t.is(await readFile(file, 'utf8'), 'abcd')
  t.deepEqual(await readdir(folder), ['a.txt'])
})

test.serial('a folder that cannot be synced is no failure', async (t) => {
  const folder = await temporaryFolder(t)
  // The second sync of a write is the folder's.
  t.teardown(await failHandles('sync', 'EINVAL', (call) => call === 2))
  await writeAtomic(join(folder, 'a.txt'), 'one')
  t.is(await readFile(join(folder, 'a.txt'), 'utf8'), 'one')
})

test.serial('a process that exits in the middle leaves nothing', async (t) => {
  const folder = await temporaryFolder(t)
  const module = new URL('../../lib/formats/atomic.js', import.meta.url).href
  const script = `
    import { readdirSync } from 'node:fs'
    import { writeAtomic } from ${JSON.stringify(module)}
    void writeAtomic(${JSON.stringify(join(folder, 'a.txt'))}, Buffer.alloc(2 ** 26))
    setInterval(() => {
      const found = readdirSync(${JSON.stringify(folder)})
      if (found.length > 0) { console.log(found[0]); process.exit(3) }
    })`
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  t.is(status, 3)
  t.true(isTemporary(stdout.trim()), stdout)
  t.deepEqual(await readdir(folder), [])
})

test.serial('temporary names', (t) => {
  t.true(isTemporary('.run.json.123.4.tmp'))
  for (const name of ['run.json', '.run.json.tmp', 'run.json.123.4.tmp', '.notes.tmp']) t.false(isTemporary(name), name)
})
