/** Every command, program and data file that docs/ shows works, on tiny models under the names that it uses. */
import { readdirSync } from 'node:fs'
import test from 'ava'
import { readBlocks } from '../support/document.js'
import { Reader } from '../support/reader.js'
import { packagePath } from '../support/shared.js'

const names = readdirSync(packagePath('docs')).filter((name) => name.endsWith('.md'))
const documents = new Map(names.map((name) => [name, readBlocks('docs', name)]))
const all = [...documents.values()].flat()

test('every block has a language', (t) => {
  t.true(all.length > 20)
  t.deepEqual(
    all.filter(({ language }) => language === ''),
    [],
  )
})

test('their TypeScript compiles', async (t) => {
  const reader = await Reader.create(t)
  t.deepEqual(await reader.typeErrors(all), [])
})

for (const [name, blocks] of documents) {
  if (blocks.length === 0) continue
  test(`${name}: its blocks run in order`, async (t) => {
    t.timeout(180_000)
    const reader = await Reader.create(t)
    for (const block of blocks) await reader.follow(t, block)
  })
}
