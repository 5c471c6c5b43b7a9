/** Every command and every program of the README works, on tiny models and data under the names that it uses. */
import test from 'ava'
import { readBlocks } from './support/document.js'
import { Reader } from './support/reader.js'

const blocks = readBlocks('README.md')

test('the README has commands and programs', (t) => {
  t.true(blocks.some(({ language }) => language === 'sh'))
  t.true(blocks.some(({ language }) => language === 'ts'))
  // What is not marked is not run: it may be a drawing.
  const unmarked = blocks.filter(
    ({ language, text }) => language === '' && /^\s*(npm|npx|node|import|const) /m.test(text),
  )
  t.deepEqual(unmarked, [])
})

test('its TypeScript compiles', async (t) => {
  const reader = await Reader.create(t)
  t.deepEqual(await reader.typeErrors(blocks), [])
})

test('its blocks run in order', async (t) => {
  const reader = await Reader.create(t)
  for (const block of blocks) await reader.follow(t, block)
})
