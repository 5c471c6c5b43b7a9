/** Every kind of task through train(), evaluate() and Predictor on a tiny encoder that can learn it in a second. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { evaluate, Predictor, train, type ProgressEvent, type TrainOptions } from '../../lib/index.js'
import { readSafetensors, toFloats } from '../../lib/formats/safetensors.js'
import { temporaryFolder, tinyBackbone, writeFiles } from '../support/folder.js'

type More = Partial<TrainOptions> & Pick<TrainOptions, 'train'>

async function prepare(t: ExecutionContext, more: More): Promise<TrainOptions & { readonly folder: string }> {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  const small = { adapter: { size: 8 }, batchSize: 8, epochs: 10, learningRate: 1e-2, dropout: 0, threads: 1 }
  return { folder, backbone, output: join(folder, 'run'), ...small, ...more }
}

async function run(t: ExecutionContext, more: More) {
  const { folder, ...options } = await prepare(t, more)
  const result = await train(options)
  const evaluation = await evaluate({ run: options.output, data: options.validation!, threads: 1 })
  t.deepEqual(evaluation.metrics, result.best.metrics)
  t.is(evaluation.loss, result.history[result.best.epoch - 1]!.validation!.loss)
  const predictor = await Predictor.load(options.output, { threads: 1 })
  t.teardown(() => predictor.dispose())
  const record = JSON.parse(await readFile(join(options.output, 'run.json'), 'utf8')) as {
    task: object
    options: { metric: string }
  }
  return { folder, result, evaluation, predictor, record }
}

const colours = ['red', 'green', 'blue']
const numbers = ['one', 'two', 'three']
const animals = ['cat', 'dog', 'bird']
const pick = <T>(list: readonly T[], i: number) => list[i % list.length]!

/** "the red cat sees two dog ." and the like: 27 texts. */
const texts = Array.from({ length: 27 }, (_, i) => {
  const [a, b, c] = [i, Math.floor(i / 3), Math.floor(i / 9)]
  return { colour: pick(colours, a), number: pick(numbers, b), animal: pick(animals, c) }
})
const textOf = ({ colour, number, animal }: (typeof texts)[number]) => `the ${colour} ${animal} sees ${number} dog .`
const quick = texts.flatMap((each) => [each, each, each])

// "one", "two" and "three" are worth 10, 20 and 30.
const worth = ({ number }: (typeof texts)[number]) => 10 * (1 + numbers.indexOf(number))

test.serial('regression', async (t) => {
  const rows = (list: typeof texts) => list.map((each) => ({ text: textOf(each), label: worth(each) }))
  const { result, predictor, record } = await run(t, {
    task: 'regression',
    train: rows(quick),
    validation: rows(texts),
  })
  t.deepEqual(record.task, { kind: 'regression', minimum: 10, maximum: 30 })
  t.is(record.options.metric, 'pearson_spearman')
  t.deepEqual(Object.keys(result.best.metrics), ['pearson_spearman', 'pearson', 'spearman', 'mse'])
  t.true(result.best.metrics.pearson! > 0.95, String(result.best.metrics.pearson))
  t.true(result.best.metrics.mse! < 20, String(result.best.metrics.mse))
  const [low, high] = await predictor.predict(['the red cat sees one dog .', 'the blue bird sees three dog .'])
  t.true(Math.abs(low!.value! - 10) < 6, String(low!.value))
  t.true(Math.abs(high!.value! - 30) < 6, String(high!.value))
  t.is(low!.label, undefined)
})

test.serial('regression of pairs from TSV, the best epoch by the error', async (t) => {
  const folder = await temporaryFolder(t)
  const lines = texts.map((each) => `the ${each.number} cat\ta ${each.colour} dog\t${worth(each)}`)
  await writeFiles(folder, { 'pairs.tsv': `text_a\ttext_b\tscore\n${lines.join('\n')}\n` })
  const data = join(folder, 'pairs.tsv')
  const { result, predictor } = await run(t, { task: 'regression', metric: 'mse', train: data, validation: data })
  const errors = result.history.map(({ validation }) => validation!.metrics.mse!)
  t.is(result.best.metrics.mse, Math.min(...errors))
  await t.throwsAsync(predictor.predict(['the one cat']), { code: 'ERR_DATA_ROW', message: /one text a row/ })
})

test.serial('multi-label, with rows that have no label', async (t) => {
  const rows = (list: typeof texts) =>
    list.map((each) => ({
      text: textOf(each),
      labels: [each.colour, each.animal].filter((word) => word !== 'red' && word !== 'cat'),
    }))
  const { folder, result, predictor, record } = await run(t, {
    task: { kind: 'multilabel' },
    train: rows(quick),
    validation: rows(texts),
  })
  t.deepEqual(record.task, { kind: 'multilabel', labels: ['bird', 'blue', 'dog', 'green'], labelSeparator: ',' })
  t.is(record.options.metric, 'micro_f1')
  t.true(result.best.metrics.micro_f1! > 0.9, String(result.best.metrics.micro_f1))
  const [none, both] = await predictor.predict(['the red cat sees one dog .', 'the blue bird sees two dog .'])
  t.deepEqual(none!.labels, [])
  t.deepEqual(both!.labels, ['bird', 'blue'])
  t.deepEqual(Object.keys(both!.scores!), ['bird', 'blue', 'dog', 'green'])
  // The same rows as text in a table give the same judgement.
  const tsv = rows(texts).map(({ text, labels }) => `${text}\t${labels.join(', ')}`)
  await writeFiles(folder, { 'dev.tsv': `text\tlabels\n${tsv.join('\n')}\n` })
  const again = await evaluate({ run: result.output, data: join(folder, 'dev.tsv'), threads: 1 })
  t.deepEqual(again.metrics, result.best.metrics)
})

test.serial('a multi-label head starts from how often a label occurs', async (t) => {
  const { folder: _, ...options } = await prepare(t, {
    task: 'multilabel',
    train: texts.map((each) => ({ text: textOf(each), labels: each.colour === 'red' ? ['red'] : [] })),
    epochs: 1,
    learningRate: 1e-9,
  })
  await train(options)
  const { tensors } = await readSafetensors(join(options.output, 'adapter.safetensors'))
  const [bias] = toFloats('head.bias', tensors.get('head.bias')!)
  t.true(Math.abs(bias! - Math.log(9.5 / 18.5)) < 1e-6, String(bias))
})

test.serial('tags of words', async (t) => {
  const tag = (word: string) => (colours.includes(word) ? 'B-COLOUR' : animals.includes(word) ? 'B-ANIMAL' : 'O')
  const rows = (list: typeof texts) =>
    list.map((each) => {
      const tokens = textOf(each).split(' ')
      return { tokens, tags: tokens.map(tag) }
    })
  const { folder, result, predictor, record } = await run(t, {
    task: 'token',
    train: rows(quick),
    validation: rows(texts),
    epochs: 4,
  })
  t.deepEqual(record.task, { kind: 'token', labels: ['B-ANIMAL', 'B-COLOUR', 'O'] })
  t.is(record.options.metric, 'entity_f1')
  t.deepEqual(Object.keys(result.best.metrics), ['entity_f1', 'entity_precision', 'entity_recall', 'token_accuracy'])
  t.true(result.best.metrics.entity_f1! > 0.95, String(result.best.metrics.entity_f1))
  // Three rows' worth of words, as a list and as a text.
  const long = Array.from({ length: 40 }, (_, i) => pick(['the', 'red', 'cat', 'sees'], i))
  const answers = await predictor.predict([{ tokens: long }, `  ${long.join('  ')}\n`])
  for (const { tokens, tags } of answers) {
    t.deepEqual(tokens, long)
    t.is(tags!.length, 40)
  }
  t.deepEqual(answers[0], answers[1])
  await t.throwsAsync(predictor.predict([' ']), { code: 'ERR_DATA_ROW' })
  await t.throwsAsync(predictor.predict([{ tokens: ['a', ''] }]), { code: 'ERR_DATA_ROW', message: /row 1.*word 2/ })

  const conll = rows(texts).map(({ tokens, tags }) => tokens.map((word, i) => `${word} ${tags[i]}\n`).join(''))
  await writeFiles(folder, { 'dev.conll': conll.join('\n') })
  const again = await evaluate({ run: result.output, data: join(folder, 'dev.conll'), threads: 1 })
  t.deepEqual(again.metrics, result.best.metrics)
  t.is(again.rows, 27)
})

test.serial('CSV, JSON Lines and rows in memory give the same run', async (t) => {
  const rows = texts.map((each) => ({ text: textOf(each), label: each.colour }))
  const folder = await temporaryFolder(t)
  await writeFiles(folder, {
    'a.csv': `text,label\n${rows.map(({ text, label }) => `"${text}",${label}`).join('\r\n')}\r\n`,
    'a.jsonl': rows.map((row) => JSON.stringify(row)).join('\n'),
  })
  const bytes = []
  for (const source of [join(folder, 'a.csv'), join(folder, 'a.jsonl'), rows]) {
    const { folder: _, ...options } = await prepare(t, { train: source, epochs: 1 })
    await train(options)
    bytes.push(await readFile(join(options.output, 'adapter.safetensors')))
  }
  t.deepEqual(bytes[1], bytes[0])
  t.deepEqual(bytes[2], bytes[0])
})

test.serial('data that does not fit its task is refused before anything is written', async (t) => {
  const { folder, ...options } = await prepare(t, { train: [] })
  const refuse = async (more: More, expected: { code: string; message: RegExp }) => {
    await t.throwsAsync(train({ ...options, ...more }), expected)
  }
  const text = 'the red cat'
  await refuse(
    {
      task: 'regression',
      train: [
        { text, label: 1 },
        { text, label: 'two' },
      ],
    },
    {
      code: 'ERR_DATA_LABEL',
      message: /row 2: the label is "two", expected a number/,
    },
  )
  await refuse(
    {
      task: 'regression',
      train: [
        { text, label: 1 },
        { text, label: 1 },
      ],
    },
    {
      code: 'ERR_DATA_RANGE',
      message: /all 2 rows have the value 1/,
    },
  )
  await refuse(
    {
      train: [
        { text, label: 1 },
        { text, label: 'two' },
      ],
    },
    {
      code: 'ERR_DATA_LABEL',
      message: /row 2: the label is "two" \(string\), but that of row 1 is 1 \(number\)/,
    },
  )
  await refuse(
    {
      task: 'multilabel',
      train: [{ text, labels: ['a'] }],
      validation: [{ text, labels: ['a', 'b'] }],
    },
    { code: 'ERR_DATA_LABEL', message: /row 1, label "b": not one of the 1 labels \(a\)/ },
  )
  const tagged = { tokens: ['a', 'red', 'cat'], tags: ['DET', 'ADJ', 'NOUN'] }
  await refuse(
    { task: 'token', metric: 'entity_f1', train: [tagged] },
    {
      code: 'ERR_OPTION',
      message: /"metric" must be one of token_accuracy, not "entity_f1"/,
    },
  )
  await refuse(
    { task: 'token', train: [{ text, label: 'O' }] },
    {
      code: 'ERR_DATA_ROW',
      message: /row 1: no field for the words: expected one of "tokens", "words", found "text", "label"/,
    },
  )
  await refuse({ train: [tagged] }, { code: 'ERR_DATA_ROW', message: /no field for the text/ })
  await refuse(
    {
      train: [
        { text, label: 'a' },
        { text, label: 'b' },
      ],
      validation: [{ text, textPair: text, label: 'a' }],
    },
    { code: 'ERR_DATA_ROW', message: /row 1: two texts a row, expected one text as in the training data/ },
  )
  await refuse(
    { task: 'regression', metric: 'accuracy', train: [{ text, label: 1 }] },
    {
      code: 'ERR_OPTION',
      message: /"metric" must be one of pearson_spearman, pearson, spearman, mse/,
    },
  )
  await t.throwsAsync(readFile(join(folder, 'run', 'run.json')), { code: 'ENOENT' })
})

test.serial('a row of 100,000 characters is cut, and counted in a warning', async (t) => {
  const long = 'red cat '.repeat(12_500)
  const { folder: _, ...options } = await prepare(t, {
    train: [
      { text: long, label: 'a' },
      { text: 'the dog', label: 'b' },
    ],
    epochs: 1,
  })
  const warnings: string[] = []
  await train({
    ...options,
    onProgress: (event: ProgressEvent) => event.kind === 'warning' && warnings.push(event.message),
  })
  t.true(
    warnings.some((message) => /1 of 2 rows are longer than 16 tokens/.test(message)),
    warnings.join('\n'),
  )
})
