import { existsSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { makeFolder } from '../../lib/formats/folder.js'
import { temporaryFolder } from '../support/folder.js'
import { testUnless } from '../support/unless.js'

test('a folder comes with those above it, and the topmost new one is told', async (t) => {
  const folder = await temporaryFolder(t)
  t.is(await makeFolder(join(folder, 'a', 'b', 'c')), join(folder, 'a'))
  t.is(await makeFolder(join(folder, 'a', 'b', 'd')), join(folder, 'a', 'b', 'd'))
  t.is(await makeFolder(join(folder, 'a', 'b', 'd')), undefined)
  t.deepEqual(await readdir(join(folder, 'a', 'b')), ['c', 'd'])
})

test('several that make the same folders at once all get them', async (t) => {
  const folder = await temporaryFolder(t)
  const deep = join(folder, ...Array.from({ length: 20 }, (_, i) => `${i}`))
  await t.notThrowsAsync(Promise.all(Array.from({ length: 20 }, () => makeFolder(deep))))
  t.true(existsSync(deep))
})

test('below a file there is no folder', async (t) => {
  const file = join(await temporaryFolder(t), 'file')
  await writeFile(file, '')
  await t.throwsAsync(makeFolder(join(file, 'a')), { code: 'ENOTDIR' })
})

// Node's recursive mkdir would turn in a circle here for ever.
testUnless(
  existsSync('/proc/self') ? undefined : 'there is no /proc',
  'a folder that cannot be made ends',
  async (t) => {
    t.timeout(5000)
    await t.throwsAsync(makeFolder('/proc/x/y'), { code: 'ENOENT' })
  },
)
