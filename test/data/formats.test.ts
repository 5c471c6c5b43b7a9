/** The same rows in every format give the same examples, and the same mistakes the same kind of error. */
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { wordFields } from '../../lib/data/fields.js'
import { readExamples, type ReadOptions } from '../../lib/data/readers/index.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'

async function read(t: ExecutionContext, name: string, content: string | Uint8Array, options: ReadOptions = {}) {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, { [name]: content })
  return readExamples(join(folder, name), options)
}

type Row = Readonly<Record<string, unknown>>

const quoted = (field: unknown) => `"${String(field).replaceAll('"', '""')}"`
const table = (rows: readonly Row[], between: string, write: (field: unknown) => string) =>
  [Object.keys(rows[0]!), ...rows.map((row) => Object.values(row))]
    .map((fields) => `${fields.map(write).join(between)}\n`)
    .join('')

const formats: Readonly<Record<string, (rows: readonly Row[]) => string>> = {
  '.tsv': (rows) => table(rows, '\t', String),
  '.csv': (rows) => table(rows, ',', quoted),
  '.jsonl': (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
}
const names = Object.keys(formats)

const texts = [
  'plain',
  'a "quoted" word, and commas,',
  "it's",
  ' spaces around ',
  'ünïcödé 日本語 𝄞 👩‍👩‍👧',
  '',
  '""',
  '#not a comment',
  'back\\slash \\n',
  'null',
  'x'.repeat(100_000),
]
const single = texts.map((text, i) => ({ text, label: `l${i}` }))
const pairs = texts.map((text, i) => ({ text_a: text, text_b: texts.at(-1 - i)!, label: `l${i}` }))

for (const name of names) {
  for (const [what, rows] of [
    ['texts', single],
    ['pairs', pairs],
  ] as const) {
    for (const [how, change] of [
      ['plain', (content: string) => content],
      ['with a byte-order mark', (content: string) => `\ufeff${content}`],
      ['with carriage returns', (content: string) => content.replaceAll('\n', '\r\n')],
      ['without the last line end', (content: string) => content.slice(0, -1)],
    ] as const) {
      test(`${what} in ${name}, ${how}`, async (t) => {
        const examples = await read(t, `data${name}`, change(formats[name]!(rows)))
        t.deepEqual(
          examples.map(({ text, textPair, label }) => [text, textPair, label]),
          rows.map((row) => ('text' in row ? [row.text, undefined, row.label] : [row.text_a, row.text_b, row.label])),
        )
        t.deepEqual(
          examples.map(({ place }) => place.row),
          rows.map((_, i) => i + (name === '.jsonl' ? 1 : 2)),
        )
      })
    }
  }

  test(`gzip ${name}, the end of the name in any case`, async (t) => {
    const content = gzipSync(formats[name]!(single))
    const plain = await read(t, `data${name}`, formats[name]!(single))
    for (const file of [`data${name}.gz`, `DATA${name.toUpperCase()}.GZ`]) {
      const examples = await read(t, file, content)
      t.deepEqual(
        examples.map(({ text, label, place }) => [text, label, place.row]),
        plain.map(({ text, label, place }) => [text, label, place.row]),
      )
    }
  })

  test(`broken gzip ${name}`, async (t) => {
    const whole = gzipSync(formats[name]!(single))
    for (const content of [whole.subarray(0, 60), Buffer.from(formats[name]!(single))]) {
      const error = await t.throwsAsync(read(t, `data${name}.gz`, content), { code: 'ERR_DATA_GZIP' })
      t.regex(error!.message, /data\.\w+\.gz: broken gzip/)
    }
  })

  test(`bytes that are not UTF-8 in ${name}`, async (t) => {
    const content = Buffer.from(
      formats[name]!([
        { text: 'fine', label: 'a' },
        { text: '????', label: 'b' },
      ]),
    )
    content[content.indexOf('????')] = 0xff
    const row = name === '.jsonl' ? 2 : 3
    const error = await t.throwsAsync(read(t, `data${name}`, content), {
      code: 'ERR_DATA_ENCODING',
      message: new RegExp(`data\\${name}, line ${row}: not valid UTF-8`),
    })
    t.like(error, { details: { row } })
  })

  test(`no rows in ${name}`, async (t) => {
    const header = name === '.jsonl' ? '' : formats[name]!([{ text: 1, label: 1 }]).split('\n')[0]!
    for (const content of ['', header, `${header && `${header}\n`}`]) {
      await t.throwsAsync(read(t, `data${name}`, content), { code: 'ERR_DATA_EMPTY', message: /data\.\w+: no rows/ })
    }
  })

  test(`an empty line in ${name}`, async (t) => {
    const lines = formats[name]!(single.slice(0, 2)).split('\n')
    lines.splice(-1, 0, '')
    const row = name === '.jsonl' ? 3 : 4
    await t.throwsAsync(read(t, `data${name}`, lines.join('\n')), {
      code: name === '.jsonl' ? 'ERR_DATA_JSON' : 'ERR_DATA_FIELDS',
      message: new RegExp(`line ${row}: an empty line`),
    })
  })

  test(`no column for text or label in ${name}, and names by option`, async (t) => {
    const content = formats[name]!([{ body: 'x', mood: 'good', more: '1' }])
    const code = name === '.jsonl' ? 'ERR_DATA_ROW' : 'ERR_DATA_HEADER'
    const error = await t.throwsAsync(read(t, `data${name}`, content), {
      code,
      message: /line 1: no (column|field) for the text: expected one of "text_a", .*, found "body", "mood", "more"/,
    })
    t.like(error, { details: { row: 1, field: 'text', found: ['body', 'mood', 'more'] } })
    await t.throwsAsync(read(t, `data${name}`, content, { columns: { text: 'body', label: 'mod' } }), {
      code,
      message: /no (column|field) for the label: expected "mod", .*did you mean "mood"/,
    })
    const [example] = await read(t, `data${name}`, content, {
      columns: { text: 'body', textPair: 'more', label: 'mood' },
    })
    t.like(example, { text: 'x', textPair: '1', label: 'good' })
  })

  test(`the first rows only, and rows to predict, in ${name}`, async (t) => {
    const content = formats[name]!(single)
    t.is((await read(t, `data${name}`, content, { limit: 3 })).length, 3)
    const bare = await read(t, `data${name}`, formats[name]!([{ text: 'x' }]), { needsLabel: false })
    t.like(bare[0], { text: 'x', label: undefined })
  })

  test(`words and tags in ${name}`, async (t) => {
    const list = name === '.jsonl'
    const rows = ['the red cat', 'one'].map((words) => ({
      tokens: list ? words.split(' ') : words,
      tags: list ? words.split(' ').map(() => 'O') : words.replaceAll(/\w+/g, 'O'),
    }))
    const examples = await read(t, `data${name}`, formats[name]!(rows), { fields: wordFields })
    t.deepEqual(
      examples.map(({ text, words, label }) => [text, words, label]),
      rows.map(({ tags }, i) => [['the red cat', 'one'][i], [['the', 'red', 'cat'], ['one']][i], tags]),
    )
    const wrong = formats[name]!([{ tokens: list ? ['the', ''] : 'the  cat', tags: 'O' }])
    const error = await t.throwsAsync(read(t, `data${name}`, wrong, { fields: wordFields }), {
      code: 'ERR_DATA_ROW',
      message: /tokens must be a list of words.*got nothing as word 2/,
    })
    t.like(error, { details: { field: 'tokens' } })
  })
}

for (const [name, between] of [
  ['.tsv', '\t'],
  ['.csv', ','],
] as const) {
  test(`too few and too many fields in ${name}`, async (t) => {
    const lines = (...rows: string[][]) => rows.map((row) => row.join(between)).join('\n')
    const few = await t.throwsAsync(read(t, `data${name}`, lines(['text', 'label'], ['x', 'a'], ['y'])), {
      code: 'ERR_DATA_FIELDS',
      message: /line 3: 1 field, expected 2 \(text, label\); "label" is missing/,
    })
    t.like(few, { details: { row: 3, field: 'label', found: 1, expected: 2 } })
    await t.throwsAsync(read(t, `data${name}`, lines(['text', 'label'], ['x', 'a', 'b'])), {
      code: 'ERR_DATA_FIELDS',
      message: /line 2: 3 fields, expected 2/,
    })
    await t.throwsAsync(read(t, `data${name}`, lines(['text', 'text'], ['x', 'a'])), {
      code: 'ERR_DATA_HEADER',
      message: /line 1: two columns are called "text"/,
    })
  })
}

test('quoted fields over several lines, and the lines that rows begin in', async (t) => {
  const content = 'text,label\n"one\ntwo\r\n\nfour",a\nfive,"b"\n",""six""",c\n'
  const examples = await read(t, 'data.csv', content)
  t.deepEqual(
    examples.map(({ text, label, place }) => [text, label, place.row]),
    [
      ['one\ntwo\n\nfour', 'a', 2],
      ['five', 'b', 6],
      [',"six"', 'c', 7],
    ],
  )
})

test('a CSV file of many parts', async (t) => {
  const rows = Array.from({ length: 2600 }, (_, i) => ({ text: i % 7 === 0 ? `a\n"${i}"` : `b${i}`, label: i }))
  const examples = await read(t, 'data.csv', formats['.csv']!(rows))
  t.deepEqual(
    examples.map(({ text, label }) => ({ text, label: Number(label) })),
    rows,
  )
  let line = 2
  for (const { text, place } of examples) {
    t.is(place.row, line)
    line += text.split('\n').length
  }
})

for (const [what, content, row, message] of [
  [
    'in the middle of a field',
    'text,label\nfine,a\n5" disk,b\nx,c\n',
    3,
    /line 3: a quote in a place where none may be/,
  ],
  ['after a closing quote', 'text,label\n"x"y,b\n', 2, /line 2: a quote in a place where none may be/],
  ['that is never closed', 'text,label\nx,a\n"y\nz,b\n', 3, /line 3: a quote that is opened and never closed/],
] as const) {
  test(`a quote ${what}`, async (t) => {
    const error = await t.throwsAsync(read(t, 'data.csv', content), { code: 'ERR_DATA_QUOTES', message })
    t.like(error, { details: { row } })
  })
}

test('a wrong quote in a late part of a CSV file', async (t) => {
  const content = `text,label\n${'"a\nb",c\n'.repeat(1200)}d" e,f\n`
  await t.throwsAsync(read(t, 'data.csv', content), { code: 'ERR_DATA_QUOTES', message: /line 2402: / })
})

for (const [what, lines, code, message] of [
  ['no JSON', ['{"text": "x", "label": "a"}', '{"text": "y", "label": '], 'ERR_DATA_JSON', /line 2: not valid JSON: /],
  ['a list', ['["x", "a"]'], 'ERR_DATA_ROW', /line 1: expected an object, got a list/],
  ['a text', ['"x"'], 'ERR_DATA_ROW', /line 1: expected an object, got "x"/],
  ['null', ['null'], 'ERR_DATA_ROW', /line 1: expected an object, got null/],
  ['a whole file in one object', ['[', '{"text": "x"}', ']'], 'ERR_DATA_JSON', /line 1: not valid JSON/],
  ['a number as text', ['{"text": 5, "label": "a"}'], 'ERR_DATA_ROW', /line 1: text must be a string, got 5/],
  [
    'a second text that is null',
    ['{"text_a": "x", "text_b": null, "label": "a"}'],
    'ERR_DATA_ROW',
    /line 1: text_b must be a string, got null/,
  ],
  [
    'a missing label',
    ['{"text": "x", "label": "a"}', '{"text": "x"}'],
    'ERR_DATA_ROW',
    /line 2: no field for the label: expected "label", found "text"/,
  ],
  [
    'a label of another name',
    ['{"text": "x", "label": "a"}', '{"text": "x", "class": "a"}'],
    'ERR_DATA_ROW',
    /line 2: no field for the label: expected "label", found "text", "class"/,
  ],
  [
    'a missing second text',
    ['{"text_a": "x", "text_b": "y", "label": "a"}', '{"text_a": "x", "label": "a"}'],
    'ERR_DATA_ROW',
    /line 2: no field for the second text: expected "text_b"/,
  ],
  [
    'a second text where the first row has none',
    ['{"text": "x", "label": "a"}', '{"text": "x", "text_b": "y", "label": "a"}'],
    'ERR_DATA_ROW',
    /line 2: a second text \("text_b"\), unlike the first row/,
  ],
] as const) {
  test(`a JSON line with ${what}`, async (t) => {
    const error = await t.throwsAsync(read(t, 'data.jsonl', lines.join('\n')), { code, message })
    t.like(error, { details: { row: lines.length === 3 ? 1 : lines.length } })
  })
}

test('a column that has an inherited name', async (t) => {
  const examples = await read(t, 'data.tsv', '__proto__\ttext\tlabel\nx\ty\tz\n', { columns: { text: '__proto__' } })
  t.like(examples[0], { text: 'x', label: 'z' })
  await t.throwsAsync(read(t, 'data.jsonl', '{"text": "x"}\n', { columns: { label: 'toString' } }), {
    code: 'ERR_DATA_ROW',
  })
})

const conll = (t: ExecutionContext, content: string, options: ReadOptions = {}) =>
  read(t, 'data.conll', content, { fields: wordFields, ...options })

test('sentences of a CoNLL file', async (t) => {
  const content =
    '-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n\nGerman\tJJ\tB-NP\tB-MISC\n \n-DOCSTART- -X- O O\ncalls NNS O O'
  for (const text of [content, `\ufeff${content.replaceAll('\n', '\r\n')}\r\n`]) {
    const examples = await conll(t, text)
    t.deepEqual(
      examples.map(({ text, words, label, place }) => [text, words, label, place.row]),
      [
        ['EU rejects', ['EU', 'rejects'], ['B-ORG', 'O'], 3],
        ['German', ['German'], ['B-MISC'], 7],
        ['calls', ['calls'], ['O'], 10],
      ],
    )
  }
})

test('CoNLL files that cannot be used', async (t) => {
  const error = await t.throwsAsync(conll(t, 'EU B-ORG\nrejects\n'), {
    code: 'ERR_DATA_FIELDS',
    message: /data\.conll, line 2: 1 column, expected 2 columns as in the first line/,
  })
  t.like(error, { details: { row: 2, found: 1, expected: 2 } })
  await t.throwsAsync(conll(t, 'EU\nrejects\n'), { code: 'ERR_DATA_ROW', message: /no field for the tags/ })
  t.deepEqual((await conll(t, 'EU\nrejects\n', { needsLabel: false }))[0]!.words, ['EU', 'rejects'])
  await t.throwsAsync(conll(t, '\n\n'), { code: 'ERR_DATA_EMPTY' })
  await t.throwsAsync(read(t, 'data.conll', 'EU B-ORG\n'), { code: 'ERR_DATA_ROW', message: /found "tokens", "tags"/ })
})
