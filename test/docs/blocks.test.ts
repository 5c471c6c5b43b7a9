/** Every command, program and data file that docs/ shows works, on tiny models under the names that it uses. */
import { readdirSync } from 'node:fs'
import test from 'ava'
import { readBlocks } from '../support/document.js'
import { Reader } from '../support/reader.js'
import { packagePath } from '../support/shared.js'

const names = readdirSync(packagePath('docs')).filter((name) => name.endsWith('.md'))

for (const name of names) {
  const blocks = readBlocks('docs', name)

  test(`${name}: every block has a language`, (t) => {
    t.deepEqual(
      blocks.filter(({ language }) => language === ''),
      [],
    )
  })

  if (blocks.some(({ language }) => language === 'ts')) {
    test(`${name}: its TypeScript compiles`, async (t) => {
      const reader = await Reader.create(t)
      t.deepEqual(await reader.typeErrors(blocks), [])
    })
  }

  if (blocks.length > 0) {
    test(`${name}: its blocks run in order`, async (t) => {
      t.timeout(180_000)
      const reader = await Reader.create(t)
      for (const block of blocks) await reader.follow(t, block)
    })
  }
}
