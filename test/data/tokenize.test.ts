import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import test from 'ava'
import { Tokenizer } from '../../lib/data/tokenize.js'
import { longestFirst } from '../../lib/data/tokenizer/truncate.js'
import { textRows } from '../support/data_texts.js'
import { lacksShared, packagePath, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

interface Case {
  readonly texts: readonly [string, string?]
  readonly maxLength: number | null
  readonly ids: number[]
  readonly types: number[]
}

interface Hashes {
  readonly tokenizer: string
  readonly maxLength: number
  readonly files: Record<string, { readonly rows: number; readonly truncated: string; readonly full: string }>
}

const golden = (name: string) => packagePath('test', 'golden', name)
const readJson = async <T>(path: string) => JSON.parse(await readFile(path, 'utf8')) as T

for (const kind of ['bert', 'roberta'] as const) {
  test(`a ${kind} tokenizer gives the ids of Python's tokenizers on difficult texts`, async (t) => {
    const tokenizer = await Tokenizer.load(golden(`tokenizer_${kind}.json`))
    const cases = (await readJson<Record<typeof kind, Case[]>>(golden('token_cases.json')))[kind]
    t.true(cases.length > 200)
    for (const { texts, maxLength, ids, types } of cases) {
      const { inputIds, tokenTypeIds } = tokenizer.encode(texts[0], texts[1], { maxLength: maxLength ?? undefined })
      t.deepEqual(
        { inputIds, tokenTypeIds },
        { inputIds: ids, tokenTypeIds: types },
        JSON.stringify({ texts, maxLength }),
      )
    }
  })
}

test('the longer text is cut first', (t) => {
  t.deepEqual(longestFirst(5, 0, 9), [5, 0])
  t.deepEqual(longestFirst(12, 0, 9), [9, 0])
  t.deepEqual(longestFirst(2, 12, 9), [2, 7])
  t.deepEqual(longestFirst(12, 2, 9), [7, 2])
  t.deepEqual(longestFirst(8, 8, 9), [4, 5])
  t.deepEqual(longestFirst(9, 8, 9), [5, 4])
  t.deepEqual(longestFirst(3, 3, 0), [0, 0])
})

test('padding and truncation in the file are not applied', async (t) => {
  const tokenizer = await Tokenizer.load(golden('tokenizer_bert.json'))
  t.is(tokenizer.encode('a').inputIds.length, 3)
  const long = tokenizer.encode('a '.repeat(50))
  t.is(long.inputIds.length, 52)
  t.false(long.truncated)
  t.true(tokenizer.encode('a '.repeat(50), undefined, { maxLength: 51 }).truncated)
})

test('an empty second text makes a pair', async (t) => {
  const tokenizer = await Tokenizer.load(golden('tokenizer_bert.json'))
  t.deepEqual(tokenizer.encode('', '').tokenTypeIds, [0, 0, 1])
  t.is(tokenizer.specialTokens(true), 3)
  t.is(tokenizer.specialTokens(false), 2)
})

test('no room for the special tokens', async (t) => {
  const tokenizer = await Tokenizer.load(golden('tokenizer_bert.json'))
  t.throws(() => tokenizer.encode('a', 'b', { maxLength: 2 }), { code: 'ERR_DATA_LENGTH' })
})

test('what is not a tokenizer', async (t) => {
  t.throws(() => new Tokenizer({}), { code: 'ERR_TOKENIZER' })
  t.throws(() => new Tokenizer({ model: { type: 'Nonsense', vocab: {} } }), { code: 'ERR_TOKENIZER' })
  const model = { type: 'WordPiece', vocab: { '[UNK]': 0 }, unk_token: '[UNK]' }
  t.throws(() => new Tokenizer({ model, post_processor: { type: 'Other' } }), {
    code: 'ERR_TOKENIZER',
    message: /Other/,
  })
  await t.throwsAsync(Tokenizer.load(golden('absent.json')), { code: 'ERR_TOKENIZER' })
  await t.throwsAsync(Tokenizer.load(golden('make_token_cases.py')), { code: 'ERR_TOKENIZER' })
})

const data = sharedPath('data')
const vocabulary = sharedPath('models', 'all-MiniLM-L6-v2', 'tokenizer.json')

testUnless(lacksShared(data, vocabulary), 'all texts of the data sets have the recorded token ids', async (t) => {
  t.timeout(300_000)
  const { files, maxLength, tokenizer: sha256 } = await readJson<Hashes>(golden('token_hashes.json'))
  t.is(
    createHash('sha256')
      .update(await readFile(vocabulary!))
      .digest('hex'),
    sha256,
  )
  const tokenizer = await Tokenizer.load(vocabulary!)
  for (const [file, expected] of Object.entries(files)) {
    const cut = createHash('sha256')
    const full = createHash('sha256')
    const rows = await textRows(sharedPath('data', file)!)
    t.is(rows.length, expected.rows, file)
    for (const [text, textPair] of rows) {
      hashRow(cut, tokenizer.encode(text!, textPair, { maxLength }))
      hashRow(full, tokenizer.encode(text!, textPair))
    }
    t.is(cut.digest('hex'), expected.truncated, `${file}, cut to ${maxLength}`)
    t.is(full.digest('hex'), expected.full, file)
  }
})

function hashRow(hash: ReturnType<typeof createHash>, row: { inputIds: number[]; tokenTypeIds: number[] }): void {
  hash.update(Int32Array.from([row.inputIds.length]))
  hash.update(Int32Array.from(row.inputIds))
  hash.update(Int32Array.from(row.tokenTypeIds))
}
