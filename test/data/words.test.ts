/** The words of a text that is split already: their tokens, and the rows they make. */
import { readFile } from 'node:fs/promises'
import test from 'ava'
import { wordRows } from '../../lib/data/tasks/words.js'
import { Tokenizer } from '../../lib/data/tokenize.js'
import { packagePath } from '../support/shared.js'
import { tokenizer as tiny } from '../support/tasks.js'

interface WordCases {
  readonly words: string[][]
  readonly bert: number[][][]
  readonly roberta: number[][][]
}

const golden = (name: string) => packagePath('test', 'golden', name)

for (const kind of ['bert', 'roberta'] as const) {
  test(`a ${kind} tokenizer gives split words the ids of Python's tokenizers`, async (t) => {
    const tokenizer = await Tokenizer.load(golden(`tokenizer_${kind}.json`))
    const cases = JSON.parse(await readFile(golden('word_cases.json'), 'utf8')) as WordCases
    t.true(cases.words.length > 80)
    const unknown = 1
    let empty = 0
    for (const [i, words] of cases.words.entries()) {
      for (const [j, word] of words.entries()) {
        const expected = cases[kind][i]![j]!
        // Python drops a word that the normaliser leaves nothing of; here it is an unknown one.
        if (expected.length === 0) empty++
        t.deepEqual(tokenizer.wordIds(word), expected.length > 0 ? expected : [unknown], JSON.stringify(word))
      }
    }
    t.is(empty > 0, kind === 'bert')
  })
}

const place = { file: 'a.conll', row: 7 }
const rowsOf = (text: string, maxLength: number) => wordRows({ text, words: text.split(' '), place }, tiny, maxLength)

test('special tokens stand around the words', (t) => {
  t.deepEqual(rowsOf('the red cat', 16), [
    { inputIds: [2, 15, 4, 10, 3], tokenTypeIds: [0, 0, 0, 0, 0], truncated: false, firstTokens: [1, 2, 3] },
  ])
})

test('a word of several tokens is counted by its first', (t) => {
  // A full stop is split off by the tokenizer's own rules.
  t.deepEqual(rowsOf('red. cat', 16)[0], {
    inputIds: [2, 4, 16, 10, 3],
    tokenTypeIds: [0, 0, 0, 0, 0],
    truncated: false,
    firstTokens: [1, 3],
  })
})

test('a long text becomes several rows of whole words', (t) => {
  const rows = rowsOf('red green. blue one two', 5)
  t.deepEqual(
    rows.map(({ inputIds, firstTokens, truncated }) => [inputIds, firstTokens, truncated]),
    [
      [[2, 4, 5, 16, 3].slice(0, 5), [1, 2], false],
      [[2, 6, 7, 8, 3], [1, 2, 3], false],
    ],
  )
})

test('a word that is longer than a row loses its end', (t) => {
  const rows = rowsOf('red ........ cat', 6)
  t.deepEqual(
    rows.map(({ inputIds, firstTokens, truncated }) => [inputIds, firstTokens, truncated]),
    [
      [[2, 4, 3], [1], false],
      [[2, 16, 16, 16, 16, 3], [1], true],
      [[2, 10, 3], [1], false],
    ],
  )
})

test('no room for a word', (t) => {
  t.throws(() => rowsOf('red', 2), { code: 'ERR_DATA_LENGTH' })
})

test('a word without tokens, where the tokenizer has no unknown one', async (t) => {
  const json = JSON.parse(await readFile(golden('tokenizer_roberta.json'), 'utf8')) as object
  const normalizer = { type: 'Replace', pattern: { String: 'z' }, content: '' }
  const splitter = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true }
  const tokenizer = new Tokenizer({ ...json, normalizer, pre_tokenizer: splitter })
  t.throws(() => wordRows({ text: '', words: ['a', 'z'], place }, tokenizer, 16), {
    code: 'ERR_DATA_ROW',
    message: 'a.conll, line 7: word 2 ("z") has no tokens',
  })
})
