/** train(), evaluate() and Predictor on a tiny encoder, and on the real backbone where the shared files are. */
import { createHash } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { evaluate, loadBackbone, Predictor, train, type ProgressEvent, type TrainOptions } from '../../lib/index.js'
import { readSafetensors } from '../../lib/formats/safetensors.js'
import { readModel } from '../../lib/onnx/read.js'
import { encodeModel } from '../../lib/onnx/write.js'
import { asTsv, colourRows, temporaryFolder, tinyBackbone, tinyTokenizer, writeFiles } from '../support/folder.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { serialTestUnless } from '../support/unless.js'

interface Place {
  readonly folder: string
  readonly options: TrainOptions
}

async function prepare(t: ExecutionContext, more: Partial<TrainOptions> = {}): Promise<Place> {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  await writeFiles(folder, { 'train.tsv': asTsv(colourRows(96)), 'dev.tsv': asTsv(colourRows(18)) })
  const options: TrainOptions = {
    backbone,
    train: join(folder, 'train.tsv'),
    validation: join(folder, 'dev.tsv'),
    output: join(folder, 'run'),
    adapter: { size: 8 },
    batchSize: 8,
    epochs: 6,
    learningRate: 1e-2,
    threads: 1,
    ...more,
  }
  return { folder, options }
}

/** A copy of a backbone that ends with its hidden states. */
async function withoutPooler(from: string, to: string): Promise<string> {
  const model = await readModel(join(from, 'model.onnx'))
  const graph = model.graph!
  graph.output = graph.output.filter(({ name }) => name === 'last_hidden_state')
  const used = new Set(graph.output.map(({ name }) => name))
  graph.node = graph.node
    .reverse()
    .filter((node) => {
      const keep = node.output.some((name) => used.has(name))
      if (keep) for (const name of node.input) used.add(name)
      return keep
    })
    .reverse()
  await writeFiles(to, {
    'model.onnx': encodeModel(model),
    'tokenizer.json': await readFile(join(from, 'tokenizer.json')),
  })
  return to
}

const readJson = async (file: string) => JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>

test.serial('a run learns, and its folder holds what it should', async (t) => {
  const { folder, options } = await prepare(t)
  const events: ProgressEvent[] = []
  const result = await train({ ...options, onProgress: (event) => events.push(event) })
  t.is(result.output, options.output)
  t.is(result.history.length, 6)
  t.is(result.best.metrics.accuracy, 1)
  t.true(result.history.at(-1)!.trainLoss < result.history[0]!.trainLoss / 2)
  // Two layers of two adapters (2·8·32 + 32 + 8), five LayerNorms of 64, a head of 3·32 + 3.
  t.is(result.parameters.trained, 4 * 552 + 5 * 64 + 99)
  t.true(result.throughput.tokensPerSecond > 0)

  t.deepEqual((await readdir(options.output)).sort(), ['adapter.safetensors', 'metrics.jsonl', 'run.json'])
  const record = await readJson(join(options.output, 'run.json'))
  const adapter = await readFile(join(options.output, 'adapter.safetensors'))
  t.like(record, {
    status: 'complete',
    task: { kind: 'classification', labels: ['blue', 'green', 'red'] },
    adapter: { sha256: createHash('sha256').update(adapter).digest('hex') },
    backbone: {
      sha256: createHash('sha256')
        .update(await readFile(join(folder, 'backbone', 'model.onnx')))
        .digest('hex'),
    },
  })
  const { tensors } = await readSafetensors(join(options.output, 'adapter.safetensors'))
  t.deepEqual(tensors.get('layer.1.ffn.adapter.down.weight')!.shape, [8, 32])
  t.true(tensors.has('embeddings.layer_norm.weight'))

  const lines = (await readFile(join(options.output, 'metrics.jsonl'), 'utf8')).trim().split('\n')
  const kinds = lines.map((line) => (JSON.parse(line) as ProgressEvent).kind)
  t.is(kinds.filter((kind) => kind === 'step').length, 72)
  t.is(kinds.filter((kind) => kind === 'evaluation').length, 6)
  t.deepEqual([...new Set(events.map(({ kind }) => kind))].sort(), [
    'checkpoint',
    'evaluating',
    'evaluation',
    'start',
    'step',
  ])
})

test.serial('evaluate and predict give what training saw', async (t) => {
  const { folder, options } = await prepare(t)
  const { best } = await train(options)
  const evaluation = await evaluate({ run: options.output, data: options.validation!, threads: 1 })
  t.deepEqual(evaluation.metrics, best.metrics)
  t.is(evaluation.rows, 18)
  const predictor = await Predictor.load(options.output, { threads: 1 })
  t.deepEqual(predictor.tasks, ['run'])
  const [first, second] = await predictor.predict([
    'the red cat sees a dog .',
    { text: 'the blue bird sees a dog .', task: 'run' },
  ])
  t.is(first!.label, 'red')
  t.is(second!.label, 'blue')
  t.true(Math.abs(Object.values(first!.scores!).reduce((a, b) => a + b, 0) - 1) < 1e-6)
  await t.throwsAsync(predictor.predict([{ text: 'a', textPair: 'b' }]), { code: 'ERR_DATA_ROW' })
  await t.throwsAsync(predictor.predict([{ text: 'a', task: 'rum' }]), {
    code: 'ERR_OPTION',
    message: /did you mean "run"/,
  })
  await t.throwsAsync(predictor.predict([5 as never]), { code: 'ERR_DATA_ROW' })
  await predictor.dispose()
  await t.throwsAsync(Predictor.load(join(folder, 'absent')), { code: 'ERR_RUN_MISSING' })
})

test.serial('several runs share a backbone, and one call mixes them', async (t) => {
  const { folder, options } = await prepare(t)
  const backbone = await loadBackbone(options.backbone as string)
  const animals = colourRows(96).map(({ text }) => ({ text, label: text.split(' ')[2]! }))
  await train({ ...options, backbone, output: join(folder, 'colours') })
  await train({
    ...options,
    backbone,
    output: join(folder, 'animals'),
    train: animals,
    validation: animals,
    epochs: 10,
  })
  const predictor = await Predictor.load([join(folder, 'colours'), join(folder, 'animals')], { threads: 1 })
  const text = 'the green bird sees a cat .'
  const answers = await predictor.predict([
    { text, task: 'animals' },
    { text, task: 'colours' },
    { text, task: 'animals' },
  ])
  t.deepEqual(
    answers.map(({ task, label }) => [task, label]),
    [
      ['animals', 'bird'],
      ['colours', 'green'],
      ['animals', 'bird'],
    ],
  )
  await t.throwsAsync(predictor.predict([text]), { code: 'ERR_OPTION', message: /several runs/ })
  await predictor.dispose()
})

test.serial('the same seed gives the same bytes, another seed others', async (t) => {
  const { folder, options } = await prepare(t, { epochs: 2 })
  const run = async (name: string, seed: number, threads: number) => {
    const output = join(folder, name)
    await train({ ...options, output, seed, threads })
    return readFile(join(output, 'adapter.safetensors'))
  }
  const first = await run('a', 3, 1)
  t.deepEqual(await run('b', 3, 2), first)
  t.notDeepEqual(await run('c', 4, 1), first)
})

test.serial('the output folder', async (t) => {
  const { options } = await prepare(t, { epochs: 1 })
  await train(options)
  await t.throwsAsync(train(options), { code: 'ERR_OUTPUT_EXISTS' })
  await t.notThrowsAsync(train({ ...options, overwrite: true }))
})

test.serial('a signal keeps the last finished step', async (t) => {
  const { options } = await prepare(t)
  const stop = new AbortController()
  const onProgress = (event: ProgressEvent) => {
    if (event.kind === 'step' && event.step === 30) stop.abort(new Error('enough'))
  }
  await t.throwsAsync(train({ ...options, signal: stop.signal, onProgress }), { message: 'enough' })
  t.deepEqual((await readdir(options.output)).sort(), ['checkpoint.safetensors', 'metrics.jsonl', 'run.json'])
  t.like(await readJson(join(options.output, 'run.json')), {
    status: 'interrupted',
    stopped: { step: 30, epoch: 3, message: 'enough' },
  })
  t.is((await evaluate({ run: options.output, data: options.validation!, threads: 1 })).rows, 18)
})

test.serial('a loss that is not finite stops the run', async (t) => {
  const { options } = await prepare(t, { learningRate: 1e38, clipNorm: 0, warmup: 0, weightDecay: 0 })
  const error = await t.throwsAsync(train(options), { code: 'ERR_TRAIN_LOSS' })
  t.regex(error!.message, /step \d+/)
})

test.serial('rows that are cut are counted', async (t) => {
  const { options } = await prepare(t, { epochs: 1, maxLength: 5 })
  const warnings: string[] = []
  await train({ ...options, onProgress: (event) => event.kind === 'warning' && warnings.push(event.message) })
  t.true(warnings.some((message) => /114 of 114 rows are longer than 5 tokens/.test(message)))
})

test.serial(
  'a length that has no room for one token of each text is refused, with the smallest that has',
  async (t) => {
    const text = (i: number) => `the ${['red', 'blue'][i % 2]} cat`
    const rows = (row: (i: number) => object) => Array.from({ length: 8 }, (_, i) => row(i))
    const label = (i: number) => ['a', 'b'][i % 2]
    const data: readonly [TrainOptions['task'], number, readonly object[]][] = [
      ['classification', 3, rows((i) => ({ text: text(i), label: label(i) }))],
      ['classification', 5, rows((i) => ({ text: text(i), textPair: text(i), label: label(i) }))],
      ['regression', 3, rows((i) => ({ text: text(i), label: i }))],
      ['multilabel', 5, rows((i) => ({ text: text(i), textPair: text(i), label: [label(i)] }))],
      ['token', 3, rows((i) => ({ tokens: text(i).split(' '), tags: ['O', `B-${label(i)}`, 'O'] }))],
      [
        'span',
        5,
        rows((i) => ({ question: 'one', context: text(i), answers: [{ text: 'cat', start: text(i).length - 3 }] })),
      ],
    ]
    for (const [task, smallest, rowsOf] of data) {
      const { options } = await prepare(t, { task, epochs: 1, validation: undefined, train: rowsOf as never })
      const error = await t.throwsAsync(train({ ...options, maxLength: smallest - 1 }), { code: 'ERR_OPTION' })
      const expected = new RegExp(`^option "maxLength" must be of at least ${smallest}, .*, not ${smallest - 1}$`)
      t.regex(error?.message ?? '', expected, String(task))
      await t.notThrowsAsync(train({ ...options, maxLength: smallest }), String(task))
    }
  },
)

test.serial('without adapters, and with chosen layers', async (t) => {
  const { folder, options } = await prepare(t, { epochs: 1 })
  const only = await train({ ...options, output: join(folder, 'norms'), adapter: false })
  t.is(only.parameters.trained, 5 * 64 + 99)
  const top = await train({ ...options, output: join(folder, 'top'), adapter: { size: 8, layers: [1] } })
  t.is(top.parameters.trained, 2 * 552 + 2 * 64 + 99)
  for (const name of ['norms', 'top'])
    await t.notThrowsAsync(evaluate({ run: join(folder, name), data: options.validation! }))
})

test.serial('pairs of texts', async (t) => {
  const { folder, options } = await prepare(t)
  // The label says whether both texts name the same colour.
  const rows = colourRows(90).flatMap(({ label: a }, i) => {
    const b = i % 2 === 0 ? a : colourRows(90)[(i + 1) % 90]!.label
    return [{ text: `the ${a} cat`, textPair: `a ${b} dog`, label: a === b ? 'same' : 'other' }]
  })
  const tsv = ['text_a\ttext_b\tlabel', ...rows.map((row) => `${row.text}\t${row.textPair}\t${row.label}`)].join('\n')
  await writeFiles(folder, { 'pairs.tsv': tsv })
  const data = join(folder, 'pairs.tsv')
  const { best } = await train({
    ...options,
    train: data,
    validation: rows,
    task: { kind: 'classification', positiveLabel: 'same' },
  })
  t.deepEqual(Object.keys(best.metrics), ['accuracy', 'f1', 'matthews'])
  t.deepEqual((await evaluate({ run: options.output, data, threads: 1 })).metrics, best.metrics)
  const predictor = await Predictor.load(options.output, { threads: 1 })
  const [answer] = await predictor.predict([rows[0]!])
  t.true(['same', 'other'].includes(answer!.label!))
  await t.throwsAsync(predictor.predict(['one text']), { code: 'ERR_DATA_ROW', message: /two texts/ })
  await predictor.dispose()
})

test.serial('input that cannot be used', async (t) => {
  const { folder, options } = await prepare(t)
  const refuse = (more: Partial<TrainOptions>, expected: { code: string; message?: RegExp }) =>
    t.throwsAsync(train({ ...options, ...more }), expected)
  await refuse({ train: join(folder, 'absent.tsv') }, { code: 'ERR_DATA_MISSING' })
  await refuse({ backbone: join(folder, 'absent') }, { code: 'ERR_ONNX_MISSING' })
  await refuse({ backbone: folder }, { code: 'ERR_ONNX_MISSING', message: /neither/ })
  await refuse({ maxLength: 17 }, { code: 'ERR_OPTION', message: /maxLength.*at most 16/ })
  const plain = await withoutPooler(join(folder, 'backbone'), join(folder, 'plain'))
  await refuse({ backbone: plain, head: { pool: 'pooler' } }, { code: 'ERR_OPTION', message: /holds no pooler/ })
  await refuse({ adapter: { layers: [2] } }, { code: 'ERR_OPTION', message: /layer/ })
  const unknown = [...colourRows(6), { text: 'a', label: 'purple' }]
  await refuse(
    { validation: unknown },
    { code: 'ERR_DATA_LABEL', message: /row 7, label "purple": not one of the 3 classes .*by option "task.labels"/ },
  )
  await refuse({ train: colourRows(1) }, { code: 'ERR_DATA_CLASSES' })
  await refuse(
    {
      train: [
        { text: 'a', label: 'x' },
        { text: 'a', textPair: 'b', label: 'y' },
      ],
    },
    { code: 'ERR_DATA_ROW', message: /row 2/ },
  )
  t.deepEqual((await readdir(folder)).sort(), ['backbone', 'dev.tsv', 'plain', 'train.tsv'])

  await writeFile(join(folder, 'not.onnx'), 'this is no model')
  await refuse({ backbone: join(folder, 'not.onnx') }, { code: 'ERR_ONNX_FORMAT' })
  const vocab = { ...tinyTokenizer.model.vocab, extra: 50 }
  await writeFiles(join(folder, 'backbone'), {
    'tokenizer.json': JSON.stringify({ ...tinyTokenizer, model: { ...tinyTokenizer.model, vocab } }),
  })
  await refuse({}, { code: 'ERR_TOKENIZER', message: /ids up to 50.*50 rows/ })
  await rm(join(folder, 'backbone', 'tokenizer.json'))
  await refuse({}, { code: 'ERR_TOKENIZER', message: /no tokenizer\.json/ })
})

test.serial('a run whose backbone is another file', async (t) => {
  const { folder, options } = await prepare(t, { epochs: 1 })
  await train(options)
  const other = await tinyBackbone(join(folder, 'other'))
  const bytes = await readFile(join(other, 'model.onnx'))
  // A producer name of the same length: the same model in another file.
  bytes.write('pyt0rch', bytes.indexOf('pytorch'))
  await writeFile(join(other, 'model.onnx'), bytes)
  await t.throwsAsync(evaluate({ run: options.output, data: options.validation!, backbone: other }), {
    code: 'ERR_RUN_BACKBONE',
  })
  await rm(options.backbone as string, { recursive: true })
  await t.throwsAsync(evaluate({ run: options.output, data: options.validation! }), {
    code: 'ERR_RUN_BACKBONE',
    message: /say where/,
  })
})

const miniLm = sharedPath('models', 'all-MiniLM-L6-v2')
const trec = sharedPath('data', 'trec', 'train.tsv')

serialTestUnless(lacksShared(miniLm, trec), 'MiniLM begins to learn TREC', async (t) => {
  t.timeout(300_000)
  const output = join(await temporaryFolder(t), 'trec')
  const result = await train({
    backbone: miniLm!,
    train: trec!,
    output,
    trainRows: 320,
    epochs: 2,
    batchSize: 16,
    learningRate: 3e-3,
    head: { pool: 'mean' },
  })
  // 2 · 6 adapters of 2·64·384 + 384 + 64, 13 LayerNorms of 768, a head of 6·384 + 6.
  t.is(result.parameters.trained, 595_200 + 9_984 + 2_310)
  t.true(result.history[1]!.trainLoss < result.history[0]!.trainLoss)
  const { metrics } = await evaluate({ run: output, data: trec!.replace('train.tsv', 'dev.tsv') })
  // Guessing the largest class gives 0.25.
  t.true(metrics.accuracy! > 0.5, String(metrics.accuracy))
})
