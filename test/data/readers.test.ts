import { existsSync } from 'node:fs'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import type { ReadOptions } from '../../lib/data/readers/index.js'
import { readExamples } from '../../lib/data/readers/index.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'

async function read(t: ExecutionContext, content: string | Uint8Array, options: ReadOptions = {}, name = 'data.tsv') {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, { [name]: content })
  return readExamples(join(folder, name), options)
}

const rowsOf = (examples: Awaited<ReturnType<typeof readExamples>>) =>
  examples.map(({ text, textPair, label }) => [text, textPair, label])

test('pairs, sentences and texts by their usual names', async (t) => {
  t.deepEqual(rowsOf(await read(t, 'text_a\ttext_b\tlabel\nx\ty\t1\n')), [['x', 'y', '1']])
  t.deepEqual(rowsOf(await read(t, 'label\tsentence\n1\tx\n')), [['x', undefined, '1']])
  t.deepEqual(rowsOf(await read(t, 'text\tlabel\nx\t1\n')), [['x', undefined, '1']])
})

test('columns by option', async (t) => {
  const content = 'id\tbody\tkind\n7\tx\tgood\n'
  t.deepEqual(rowsOf(await read(t, content, { columns: { text: 'body', label: 'kind' } })), [['x', undefined, 'good']])
  await t.throwsAsync(read(t, content, { columns: { text: 'bodi', label: 'kind' } }), {
    code: 'ERR_DATA_HEADER',
    message: /did you mean "body"/,
  })
  await t.throwsAsync(read(t, content, { columns: { text: 'body' } }), {
    code: 'ERR_DATA_HEADER',
    message: /"id", "body", "kind"/,
  })
})

test('quotes are plain characters', async (t) => {
  t.deepEqual(rowsOf(await read(t, 'text\tlabel\n"a\t1\nb"\t"1"\n')), [
    ['"a', undefined, '1'],
    ['b"', undefined, '"1"'],
  ])
})

test('byte-order mark, carriage returns, no last line end', async (t) => {
  t.deepEqual(rowsOf(await read(t, '\ufefftext\tlabel\r\nx\t1\r\ny\t2')), [
    ['x', undefined, '1'],
    ['y', undefined, '2'],
  ])
})

test('gzip', async (t) => {
  t.deepEqual(rowsOf(await read(t, gzipSync('text\tlabel\nx\t1\n'), {}, 'data.tsv.gz')), [['x', undefined, '1']])
})

test('a file longer than a chunk, with characters across its borders', async (t) => {
  const line = `${'ä€𝄞'.repeat(1000)}\t1`
  const examples = await read(t, `text\tlabel\n${`${line}\n`.repeat(50)}`)
  t.is(examples.length, 50)
  t.true(examples.every(({ text }) => text === 'ä€𝄞'.repeat(1000)))
  t.is(examples.at(-1)!.place.row, 51)
})

test('the first rows only', async (t) => {
  t.is((await read(t, 'text\tlabel\nx\t1\ny\t2\nz\n', { limit: 2 })).length, 2)
})

test('rows without labels, to predict', async (t) => {
  t.deepEqual(rowsOf(await read(t, 'text\nx\n', { needsLabel: false })), [['x', undefined, undefined]])
})

test('too few fields, too many fields, an empty line', async (t) => {
  const few = await t.throwsAsync(read(t, 'text\tlabel\nx\t1\ny\n'), {
    code: 'ERR_DATA_FIELDS',
    message: /line 3: 1 field, expected 2 .*"label" is missing/,
  })
  t.like(few, { details: { row: 3, field: 'label', found: 1, expected: 2 } })
  await t.throwsAsync(read(t, 'text\tlabel\nx\t1\t2\n'), { code: 'ERR_DATA_FIELDS', message: /line 2: 3 fields/ })
  await t.throwsAsync(read(t, 'text\tlabel\n\nx\t1\n'), { code: 'ERR_DATA_FIELDS', message: /line 2: an empty line/ })
})

test('no rows, no content, no columns, the same column twice', async (t) => {
  await t.throwsAsync(read(t, 'text\tlabel\n'), { code: 'ERR_DATA_EMPTY' })
  await t.throwsAsync(read(t, ''), { code: 'ERR_DATA_EMPTY' })
  await t.throwsAsync(read(t, 'a\tb\nx\t1\n'), { code: 'ERR_DATA_HEADER' })
  await t.throwsAsync(read(t, 'text\tlabel\tlabel\nx\t1\t1\n'), { code: 'ERR_DATA_HEADER', message: /two columns/ })
})

test('bytes that are not UTF-8', async (t) => {
  const bytes = Buffer.concat([Buffer.from('text\tlabel\nfine\t1\n'), Buffer.from([0x62, 0xff, 0x09, 0x31, 0x0a])])
  const error = await t.throwsAsync(read(t, bytes), { code: 'ERR_DATA_ENCODING', message: /line 3/ })
  t.like(error, { details: { row: 3 } })
})

const unreadable = '/proc/self/mem'

;(existsSync(unreadable) ? test : test.skip)('a disk error midway is one of reading, of gzip files too', async (t) => {
  const folder = await temporaryFolder(t)
  for (const name of ['a.tsv', 'a.tsv.gz']) {
    const file = join(folder, name)
    await symlink(unreadable, file)
    await t.throwsAsync(readExamples(file), { code: 'ERR_DATA_READ', message: /EIO/ }, name)
  }
})

test('broken gzip', async (t) => {
  const whole = gzipSync(`text\tlabel\n${'some text\t1\n'.repeat(1000)}`)
  await t.throwsAsync(read(t, whole.subarray(0, 40), {}, 'a.tsv.gz'), { code: 'ERR_DATA_GZIP' })
  await t.throwsAsync(read(t, 'text\tlabel\nx\t1\n', {}, 'a.tsv.gz'), { code: 'ERR_DATA_GZIP' })
})

test('no such file, a folder, a kind that cannot be read', async (t) => {
  const folder = await temporaryFolder(t)
  await t.throwsAsync(readExamples(join(folder, 'absent.tsv')), { code: 'ERR_DATA_MISSING', message: /absent\.tsv/ })
  await writeFiles(join(folder, 'folder.tsv'), {})
  await t.throwsAsync(readExamples(join(folder, 'folder.tsv')), { code: 'ERR_DATA_READ' })
  await t.throwsAsync(readExamples(join(folder, 'a.docx')), { code: 'ERR_DATA_FORMAT', message: /expected tsv, csv, / })
})

test('rows of an iterable, synchronous or not', async (t) => {
  const rows = [
    { text: 'x', textPair: 'w', label: 'a' },
    { text: 'y', textPair: 'z', label: 1 },
  ]
  const later = (async function* () {
    yield* rows
  })()
  for (const source of [rows, new Set(rows), later]) {
    t.deepEqual(rowsOf(await readExamples(source)), [
      ['x', 'w', 'a'],
      ['y', 'z', 1],
    ])
  }
  await t.throwsAsync(readExamples([]), { code: 'ERR_DATA_EMPTY' })
  await t.throwsAsync(readExamples([{ text: 'x' }]), {
    code: 'ERR_DATA_ROW',
    message: /row 1: no field for the label.*found "text"/,
  })
  await t.throwsAsync(readExamples([{ text: 'x', label: 1 }, { label: 1 } as never]), {
    code: 'ERR_DATA_ROW',
    message: /row 2: no field for the text.*found "label"/,
  })
  await t.throwsAsync(readExamples([null as never]), { code: 'ERR_DATA_ROW' })
})
