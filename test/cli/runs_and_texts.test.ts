/** Which arguments of predict are runs, which are texts, and which are doubtful. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { splitArguments } from '../../lib/cli/runs_and_texts.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'

async function place(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  for (const name of ['trec', 'top']) await writeFiles(join(folder, name), { 'run.json': '{}' })
  await mkdir(join(folder, 'empty'))
  return (name: string) => join(folder, name)
}

test('leading folders of runs are runs, the rest are texts', async (t) => {
  const at = await place(t)
  const split = (...words: string[]) => splitArguments(words, undefined)
  t.deepEqual(split(at('trec'), 'hello', 'and/or'), { runs: [at('trec')], texts: ['hello', 'and/or'], doubts: [] })
  t.deepEqual(split(at('trec'), at('top'), 'x'), { runs: [at('trec'), at('top')], texts: ['x'], doubts: [] })
  t.deepEqual(splitArguments([at('trec'), at('top')], '-').runs, [at('trec'), at('top')])
})

test('texts that look like folders of runs are told', async (t) => {
  const at = await place(t)
  const doubts = (...words: string[]) => splitArguments([at('trec'), ...words], undefined).doubts
  t.deepEqual(doubts(at('tpo')), [
    `"${at('tpo')}" is no folder of a run, and is taken for a text; did you mean "${at('top')}"?`,
  ])
  t.deepEqual(doubts(at('empty')), [`"${at('empty')}" is no folder of a run, and is taken for a text`])
  t.deepEqual(doubts(at('unlike')), [`"${at('unlike')}" is no folder of a run, and is taken for a text`])
  t.deepEqual(doubts('a text', at('top')), [`"${at('top')}" is taken for a text, since it stands behind one`])
  t.deepEqual(doubts('either/or', 'what is in /tmp', 'tpo', 'a/b/c.', '/help', 'long'.repeat(2000), '\0'), [])
})

test('what cannot be meant is refused', async (t) => {
  const at = await place(t)
  t.throws(() => splitArguments(['hi'], undefined), { code: 'ERR_OPTION', message: /^hi: not the folder of a run/ })
  t.throws(() => splitArguments([at('terc'), 'hi'], undefined), {
    code: 'ERR_RUN_MISSING',
    message: /terc: not the folder of a run: no run\.json in it; .*; did you mean ".*trec"\?$/,
  })
  t.throws(() => splitArguments([at('trec')], undefined), { code: 'ERR_OPTION', message: /no texts/ })
  t.throws(() => splitArguments([at('trec'), 'a', 'b'], 'x.tsv'), {
    code: 'ERR_OPTION',
    message: /^"a" is no folder of a run .*leave it out, or option "input"$/,
  })
  t.throws(() => splitArguments([at('terc')], '-'), { code: 'ERR_RUN_MISSING' })
})
