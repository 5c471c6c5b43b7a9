/** Which characters a token stands for, against Python's tokenizers. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import test from 'ava'
import { Tokenizer } from '../../lib/data/tokenize.js'
import { eachText } from '../support/data_texts.js'
import { lacksShared, packagePath, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

interface Cases {
  readonly texts: readonly string[]
  readonly variants: readonly {
    readonly file: string
    readonly change: object
    /** For each text: start and end of every token, one behind the other. */
    readonly ranges: readonly (readonly number[])[]
  }[]
}

interface Hashes {
  readonly tokenizer: string
  readonly files: Readonly<Record<string, { readonly texts: number; readonly sha256: string }>>
}

const golden = (name: string) => packagePath('test', 'golden', name)
const readJson = async <T>(path: string) => JSON.parse(await readFile(path, 'utf8')) as T

test('difficult texts have the offsets of Python, and the ids of a plain encoding', async (t) => {
  const { texts, variants } = await readJson<Cases>(golden('offset_cases.json'))
  t.true(texts.length > 80 && variants.length > 10)
  for (const { file, change, ranges } of variants) {
    const tokenizer = new Tokenizer({ ...(await readJson<object>(golden(file))), ...change })
    for (const [i, text] of texts.entries()) {
      const { ids, starts, ends } = tokenizer.tokens(text)
      const found = starts.flatMap((start, k) => [start, ends[k]!])
      const where = JSON.stringify({ file, change, text })
      t.deepEqual(found, ranges[i], where)
      t.deepEqual(ids, tokenizer.ids(text), where)
    }
  }
})

test('a range is what slice takes, whatever became of the characters', async (t) => {
  const tokenizer = await Tokenizer.load(golden('tokenizer_bert.json'))
  const words = (text: string) => {
    const { starts, ends } = tokenizer.tokens(text)
    return starts.map((start, i) => text.slice(start, ends[i]))
  }
  t.deepEqual(words(''), [])
  t.deepEqual(words(' \u200b\t'), [])
  t.deepEqual(words('THE caf\u00e9'), ['THE', 'caf\u00e9'])
  // The mark behind a letter is dropped, and belongs to no token.
  t.deepEqual(words('the e\u0301.'), ['the', 'e', '.'])
  t.deepEqual(words('t\u200bhe\u4e2d\u{1f600}!'), ['t\u200bhe', '\u4e2d', '\u{1f600}', '!'])
})

test('tokenizers whose offsets are not known say why', async (t) => {
  const bert = await readJson<object>(golden('tokenizer_bert.json'))
  const roberta = await readJson<{ model: object }>(golden('tokenizer_roberta.json'))
  const refused = (json: object, message: RegExp) =>
    t.throws(() => new Tokenizer(json, 'x/tokenizer.json').tokens('a'), { code: 'ERR_TOKENIZER', message })
  refused({ ...bert, normalizer: { type: 'Lowercase' } }, /x\/tokenizer\.json: its normalizer is Lowercase;.*BertNorm/)
  refused({ ...bert, pre_tokenizer: { type: 'Whitespace' } }, /pre_tokenizer is Whitespace/)
  refused({ ...bert, pre_tokenizer: null }, /pre_tokenizer is absent/)
  refused({ ...roberta, normalizer: { type: 'NFC' } }, /normalizer is NFC/)
  refused({ ...roberta, pre_tokenizer: { type: 'Whitespace' } }, /pre_tokenizer is Whitespace/)
  refused({ ...roberta, model: { ...roberta.model, end_of_word_suffix: '</w>' } }, /end_of_word_suffix/)
  refused({ ...roberta, model: { type: 'BPE', vocab: { a: 0 }, merges: [] } }, /a vocabulary without/)
  const unigram = { type: 'Unigram', vocab: [['<unk>', 0]], unk_id: 0 }
  refused({ ...roberta, model: unigram }, /model is Unigram/)
  // Plain ids need none of it.
  t.notThrows(() => new Tokenizer({ ...bert, pre_tokenizer: { type: 'Whitespace' } }).ids('a'))
})

test('a row of a pair says where its second text begins', async (t) => {
  for (const [name, start] of [
    ['bert', 4],
    ['roberta', 5],
  ] as const) {
    const tokenizer = await Tokenizer.load(golden(`tokenizer_${name}.json`))
    const row = tokenizer.wrapPair([7, 8], [9])
    t.is(row.start, start)
    t.is(row.inputIds[row.start], 9)
    t.is(row.tokenTypeIds.length, row.inputIds.length)
  }
})

const data = sharedPath('data')
const vocabulary = sharedPath('models', 'all-MiniLM-L6-v2', 'tokenizer.json')

testUnless(
  lacksShared(data, vocabulary),
  'all texts of four data files have the recorded offsets, and the ids of a plain encoding',
  async (t) => {
    t.timeout(300_000)
    const { files, tokenizer: sha256 } = await readJson<Hashes>(golden('offset_hashes.json'))
    const bytes = await readFile(vocabulary!)
    t.is(createHash('sha256').update(bytes).digest('hex'), sha256)
    const tokenizer = await Tokenizer.load(vocabulary!)
    for (const [file, expected] of Object.entries(files)) {
      const hash = createHash('sha256')
      let texts = 0
      for (const text of await eachText(sharedPath('data', file)!)) {
        const { ids, starts, ends } = tokenizer.tokens(text)
        hash.update(Int32Array.from([ids.length, ...ids, ...starts, ...ends]))
        const plain = tokenizer.ids(text)
        if (plain.length !== ids.length || plain.some((id, i) => id !== ids[i])) t.fail(`${file}: ids of ${text}`)
        texts++
      }
      t.is(texts, expected.texts, file)
      t.is(hash.digest('hex'), expected.sha256, file)
    }
  },
)
