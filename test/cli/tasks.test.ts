/** evaluate and predict of the command line, for each kind of task and each kind of input. */
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { train } from '../../lib/index.js'
import { cli } from '../support/cli.js'
import { temporaryFolder, tinyBackbone, writeFiles } from '../support/folder.js'
import { abortAt, prepareTraining } from '../support/training.js'

const small = '--adapter-size 8 --batch-size 8 --learning-rate 1e-2 --epochs 30 --dropout 0 --threads 1 --quiet'.split(
  ' ',
)

async function trained(t: ExecutionContext, files: Readonly<Record<string, string>>, ...flags: string[]) {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  await writeFiles(folder, files)
  const data = join(folder, Object.keys(files)[0]!)
  const run = join(folder, 'run')
  const result = await cli([
    'train',
    '--backbone',
    backbone,
    '--train',
    data,
    '--validation',
    data,
    '--output',
    run,
    ...small,
    ...flags,
  ])
  t.is(result.code, 0, result.stderr)
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await cli(args)
    t.is(code, 0, stderr)
    return stdout
  }
  return { folder, data, run, table: result.stdout, ok }
}

const words = Array.from({ length: 24 }, (_, i) => ({
  colour: ['red', 'green', 'blue'][i % 3]!,
  animal: ['cat', 'dog'][i % 2]!,
}))
const texts = words.map(({ colour, animal }) => `the ${colour} ${animal} sees a bird .`)

test('regression', async (t) => {
  const value = (colour: string) => ({ red: '1', green: '2.5', blue: '4.0' })[colour]
  const rows = words.map(({ colour }, i) => `${texts[i]}\t${value(colour)}`)
  const { data, run, table, ok } = await trained(
    t,
    { 'a.tsv': `text\tscore\n${rows.join('\n')}\n` },
    '--task',
    'regression',
  )
  t.regex(table, /pearson_spearman +0\.[6-9]/)
  const { metrics } = JSON.parse(await ok('evaluate', run, '--data', data, '--json')) as { metrics: object }
  t.deepEqual(Object.keys(metrics), ['pearson_spearman', 'pearson', 'spearman', 'mse'])
  t.regex(await ok('predict', run, texts[2]!), /^[2345]\.\d{4}\tthe blue cat sees a bird \.\n$/)
  const lines = (await ok('predict', run, '--json', texts[0]!, texts[2]!)).trim().split('\n')
  const [low, high] = lines.map((line) => JSON.parse(line) as { value: number })
  t.deepEqual(Object.keys(low!), ['text', 'task', 'value'])
  t.true(low!.value < high!.value, lines.join(' '))
})

test('multi-label, with a separator and names of columns by option', async (t) => {
  const rows = words.map(
    ({ colour, animal }, i) => `${i},${texts[i]},${colour === 'red' ? animal : `${colour} | ${animal}`}`,
  )
  const flags = ['--task', 'multilabel', '--label-separator', '|', '--labels', 'green,blue,cat,dog']
  const names = ['--text-column', 'body', '--label-column', 'what']
  const { folder, data, run, table, ok } = await trained(
    t,
    { 'a.csv': `id,body,what\n${rows.join('\n')}\n` },
    ...flags,
    ...names,
  )
  t.regex(table, /micro_f1 +0\.9|micro_f1 +1/)
  t.regex(await ok('evaluate', run, '--data', data, ...names), /subset_accuracy +\d/)
  t.regex(await ok('predict', run, texts[1]!), /^green 0\.\d{4}, dog 0\.\d{4}\tthe green dog/)
  const [first] = (await ok('predict', run, '--input', data, '--text-column', 'body', '--json')).split('\n')
  t.like(JSON.parse(first!), { text: texts[0], labels: ['cat'], task: 'run' })
  // The same texts in every format give the same lines.
  await writeFiles(folder, {
    'b.tsv.gz': gzipSync(`text\n${texts.join('\n')}\n`),
    'b.csv': `text\n${texts.join('\r\n')}\r\n`,
    'b.jsonl': texts.map((text) => JSON.stringify({ text, labels: 'not read' })).join('\n'),
    'b.txt': texts.join('\n'),
  })
  const expected = await ok('predict', run, ...texts)
  t.regex(await ok('predict', run, 'the red\n\tcat'), /\tthe red cat\n$/)
  for (const name of ['b.tsv.gz', 'b.csv', 'b.jsonl', 'b.txt'])
    t.is(await ok('predict', run, '--input', join(folder, name)), expected, name)
})

test('tags of words', async (t) => {
  const tag = (word: string) => (['red', 'green', 'blue'].includes(word) ? 'B-COLOUR' : 'O')
  const sentences = texts.map((text) =>
    text
      .split(' ')
      .map((word) => `${word}\t${tag(word)}\n`)
      .join(''),
  )
  const { folder, data, run, ok } = await trained(t, { 'a.conll': sentences.join('\n') }, '--task', 'token')
  t.regex(await ok('evaluate', run, '--data', data), /entity_f1 +1\.0000/)
  t.is(await ok('predict', run, 'the red cat'), 'O B-COLOUR O\tthe red cat\n')
  t.deepEqual(JSON.parse(await ok('predict', run, '--json', ' the  red cat')), {
    text: ' the  red cat',
    task: 'run',
    tokens: ['the', 'red', 'cat'],
    tags: ['O', 'B-COLOUR', 'O'],
  })
  await writeFiles(folder, { 'b.jsonl': '{"tokens": ["the", "blue", "dog"]}\n' })
  t.is(await ok('predict', run, '--input', join(folder, 'b.jsonl')), 'O B-COLOUR O\tthe blue dog\n')
  t.is(
    await ok('predict', run, '--input', data),
    sentences
      .map((lines, i) => `${[...lines.matchAll(/\t(\S+)/g)].map((match) => match[1]).join(' ')}\t${texts[i]}\n`)
      .join(''),
  )
})

test('pairs', async (t) => {
  const rows = words.map(({ colour, animal }) => ({
    text_a: `the ${colour} bird`,
    text_b: `a ${animal}`,
    label: animal,
  }))
  const { data, run, ok } = await trained(t, { 'a.jsonl': rows.map((row) => JSON.stringify(row)).join('\n') })
  const lines = (await ok('predict', run, '--input', data)).split('\n')
  t.is(lines.length, 25)
  t.regex(lines[0]!, /^(cat|dog)\t0\.\d{4}\tthe red bird\ta cat$/)
  const one = await cli(['predict', run, 'the red bird'])
  t.is(one.code, 1)
  t.regex(one.stderr, /one text a row, expected two texts as in the data that "run" was trained on/)
  t.regex(one.stderr, /ERR_DATA_ROW: text 1: /)
  const piped = await cli(['predict', run, '--input', '-'], 'the red bird\ta cat\n'.repeat(300) + 'a bird\n')
  t.is(piped.code, 1)
  t.regex(piped.stderr, /ERR_DATA_ROW: standard input, line 301: one text a row/)
  const typed = await cli(['predict', run, '--input', '-'], 'the red bird\ta cat\n')
  t.regex(typed.stdout, /^(cat|dog)\t0\.\d{4}\tthe red bird\ta cat\n$/)
})

test('bad data is exit 1 with file and line, a bad option exit 2', async (t) => {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  await writeFiles(folder, {
    'a.csv': 'text,label\nx,1\ny,2,3\n',
    'b.jsonl': '{"text": "x", "label": 1}\n{"text": "y", "label": "high"}\n',
  })
  const fails = async (code: number, message: RegExp, data: string, ...flags: string[]) => {
    const outcome = await cli([
      'train',
      '--backbone',
      backbone,
      '--train',
      join(folder, data),
      '--output',
      join(folder, 'run'),
      ...flags,
    ])
    t.is(outcome.code, code, outcome.stderr)
    t.regex(outcome.stderr, message)
  }
  await fails(1, /ERR_DATA_FIELDS: .*a\.csv, line 3: 3 fields, expected 2/, 'a.csv')
  await fails(
    1,
    /ERR_DATA_LABEL: .*b\.jsonl, line 2: the label is "high", expected a number/,
    'b.jsonl',
    '--task',
    'regression',
  )
  await fails(
    2,
    /--labels belongs to .*classification, multilabel, token, not to regression/,
    'b.jsonl',
    '--task',
    'regression',
    '--labels',
    'a,b',
  )
  await fails(
    2,
    /--label-separator belongs to tasks of kind multilabel, not to classification/,
    'b.jsonl',
    '--label-separator',
    ';',
  )
  await fails(2, /did you mean "multilabel"/, 'b.jsonl', '--task', 'multi-label')
})

test('a run that is not finished is used with a warning, without a word with --quiet', async (t) => {
  const { folder, options } = await prepareTraining(t)
  await t.throwsAsync(train({ ...options, ...abortAt(({ kind }) => kind === 'start') }), { message: 'enough' })
  const run = options.output
  for (const args of [
    ['evaluate', run, '--data', join(folder, 'dev.tsv')],
    ['predict', run, texts[0]!],
  ]) {
    const { code, stderr } = await cli(args)
    t.is(code, 0, stderr)
    t.regex(
      stderr,
      /^warning: .*: this run is not finished; .*its parameters are untrained\. Train with --resume goes on with it\n$/,
    )
    t.is((await cli([...args, '--quiet'])).stderr, '')
  }
})
