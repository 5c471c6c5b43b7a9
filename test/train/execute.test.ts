/** A training that stops and goes on: the same bytes as one that never stopped, and refusals where it could not be. */
import { readdir, readFile, rm, writeFile, rename, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { evaluate, Predictor, train, type ProgressEvent, type TrainOptions } from '../../lib/index.js'
import { asTsv, colourRows, tinyBackbone, writeFiles } from '../support/folder.js'
import { abortAt, outcomeOf, prepareTraining, readJson, type Place } from '../support/training.js'

type Is = (event: ProgressEvent) => boolean

const atStep =
  (step: number): Is =>
  (event) =>
    event.kind === 'step' && event.step === step

/** Inside the evaluation of an epoch. */
const inEvaluation =
  (epoch: number): Is =>
  (event) =>
    event.kind === 'evaluating' && event.epoch === epoch && event.done > 0

/** Trains with a break at each of the moments. */
async function trainBroken(options: TrainOptions, breaks: readonly Is[], t: ExecutionContext): Promise<void> {
  for (const [i, at] of breaks.entries())
    await t.throwsAsync(train({ ...options, resume: i > 0, ...abortAt(at) }), { message: 'enough' })
  await train({ ...options, resume: true })
}

async function compareBroken(t: ExecutionContext, { folder, options }: Place, breaks: readonly Is[]): Promise<void> {
  const broken = join(folder, 'broken')
  const result = await train(options)
  await trainBroken({ ...options, output: broken }, breaks, t)
  t.deepEqual(await outcomeOf(broken), await outcomeOf(options.output))
  t.deepEqual((await readdir(broken)).sort(), ['adapter.safetensors', 'metrics.jsonl', 'run.json'])
  const { metrics } = await evaluate({ run: broken, data: options.validation ?? options.train, threads: 1 })
  if (options.validation) t.deepEqual(metrics, result.best.metrics)
}

test.serial('a break inside an epoch, at its end, in its evaluation, and none at all', async (t) => {
  const place = await prepareTraining(t)
  const start: Is = ({ kind }) => kind === 'start'
  await compareBroken(t, place, [start, atStep(5), atStep(5 + 1), atStep(12), inEvaluation(2), atStep(36)])
})

const variants: readonly (readonly [string, Partial<TrainOptions>])[] = [
  ['all of the encoder', { trainable: 'all', adapter: undefined, learningRate: 1e-3 }],
  ['the top layer', { trainable: { topLayers: 1 }, adapter: undefined, head: { pool: 'pooler' } }],
  ['no adapters', { adapter: false }],
  ['the head alone', { trainable: ['head'], adapter: undefined }],
  ['the preset adapter-bert', { preset: 'adapter-bert' }],
  ['no validation', { validation: undefined }],
  ['early stopping', { earlyStopping: 1, epochs: 8 }],
  ['batches that do not fit, and another seed', { batchSize: 7, seed: 2 ** 40 + 1 }],
  ['a checkpoint after every step', { checkpointSteps: 1 }],
  ['values to predict', { task: 'regression', ...rowsOf((i) => i % 5) }],
  ['several labels a row', { task: 'multilabel', ...rowsOf((i) => ['a', 'b', 'c'].slice(0, i % 4)) }],
]

function rowsOf(label: (row: number) => unknown): Pick<TrainOptions, 'train' | 'validation'> {
  const rows = colourRows(96).map(({ text }, i) => ({ text, label: label(i) }))
  return { train: rows, validation: rows.slice(0, 30) }
}

for (const [name, more] of variants) {
  test.serial(`a break with ${name}`, async (t) => {
    await compareBroken(t, await prepareTraining(t, { epochs: 2, ...more }), [atStep(3), atStep(13)])
  })
}

test.serial('other threads, checkpoints and place do not matter', async (t) => {
  const { folder, options } = await prepareTraining(t)
  await train(options)
  const [first, moved] = [join(folder, 'first'), join(folder, 'moved')]
  await t.throwsAsync(train({ ...options, output: first, ...abortAt(atStep(17)) }))
  await rename(first, moved)
  // The data is compared by what is in it.
  const rows = colourRows(96)
  await train({ ...options, output: moved, train: rows, threads: 2, checkpointSteps: 4, resume: true })
  t.deepEqual(await outcomeOf(moved), await outcomeOf(options.output))
})

test.serial('run.json says what happened', async (t) => {
  const { options } = await prepareTraining(t)
  const file = join(options.output, 'run.json')
  await t.throwsAsync(train({ ...options, ...abortAt(atStep(17)) }))
  t.like(await readJson(file), { status: 'interrupted', stopped: { step: 17, epoch: 2, message: 'enough' } })
  const events: ProgressEvent[] = []
  await train({ ...options, resume: true, onProgress: (event) => events.push(event) })
  const record = await readJson(file)
  t.like(record, { status: 'complete', stopped: undefined })
  t.like((record['resumed'] as object[])[0], { step: 17 })
  t.like(
    events.find(({ kind }) => kind === 'start'),
    { step: 17, steps: 36 },
  )
  t.deepEqual(
    events.flatMap((event) => (event.kind === 'step' ? [event.step] : [])),
    Array.from({ length: 19 }, (_, i) => 18 + i),
  )
})

test.serial('a run that was stopped can be used, once it has a checkpoint', async (t) => {
  const { options } = await prepareTraining(t)
  await t.throwsAsync(train({ ...options, ...abortAt(atStep(5)) }))
  const predictor = await Predictor.load(options.output, { threads: 1 })
  t.is((await predictor.predict(['the red cat sees a dog .'])).length, 1)
  await predictor.dispose()
  await rm(join(options.output, 'checkpoint.safetensors'))
  await t.throwsAsync(Predictor.load(options.output), {
    code: 'ERR_RUN_MISSING',
    message: /before its first checkpoint/,
  })
})

test.serial('resume where there is nothing starts, and where all is done gives the result', async (t) => {
  const { folder, options } = await prepareTraining(t, { resume: true, epochs: 2 })
  const warnings: string[] = []
  const onProgress = (event: ProgressEvent) => {
    if (event.kind === 'warning') warnings.push(event.code)
  }
  const first = await train({ ...options, onProgress })
  t.deepEqual(warnings, ['WARN_RESUME_NOTHING'])
  const before = await outcomeOf(options.output)
  // Killed between the last record and the removal of the checkpoint.
  await writeFile(join(options.output, 'checkpoint.safetensors'), '')
  const steps: ProgressEvent[] = []
  const again = await train({
    ...options,
    onProgress: (event) => (event.kind === 'step' ? steps.push(event) : onProgress(event)),
  })
  t.deepEqual(again, first)
  t.deepEqual(steps, [])
  t.deepEqual(warnings, ['WARN_RESUME_NOTHING', 'WARN_RESUME_COMPLETE'])
  t.deepEqual(await outcomeOf(options.output), before)
  t.false((await readdir(options.output)).includes('checkpoint.safetensors'))

  const file = join(options.output, 'run.json')
  const record = await readJson(file)
  for (const field of ['best', 'throughput']) {
    await writeFile(file, JSON.stringify({ ...record, [field]: undefined }))
    const message = `${file}: damaged: its "${field}" is missing or of a wrong type`
    await t.throwsAsync(train(options), { code: 'ERR_RUN_RECORD', message })
  }

  await writeFiles(join(folder, 'notes'), { 'notes.txt': 'mine' })
  await t.throwsAsync(train({ ...options, output: join(folder, 'notes') }), {
    code: 'ERR_OUTPUT_EXISTS',
    message: /no run to go on with/,
  })
})

test.serial('what a killed process may leave', async (t) => {
  const { folder, options } = await prepareTraining(t, { epochs: 2 })
  await train(options)
  const whole = await outcomeOf(options.output)
  const resumed = async (prepare: (output: string) => Promise<void>, name: string) => {
    const output = join(folder, name)
    await t.throwsAsync(train({ ...options, output, ...abortAt(atStep(15)) }))
    await prepare(output)
    await train({ ...options, output, resume: true })
    t.deepEqual(await outcomeOf(output), whole, name)
    t.deepEqual((await readdir(output)).sort(), ['adapter.safetensors', 'metrics.jsonl', 'run.json'], name)
  }
  const file = (output: string, name: string) => join(output, name)
  await resumed(async (output) => {
    const lines = await readFile(file(output, 'metrics.jsonl'), 'utf8')
    await writeFile(file(output, 'metrics.jsonl'), `${lines}{"kind":"step","step":16}\n{"kind":"st`)
  }, 'more lines of the log, and half of one')
  await resumed((output) => rm(file(output, 'run.json')), 'no record')
  await resumed(async (output) => {
    await writeFile(file(output, '.checkpoint.safetensors.99.1.tmp'), 'half')
    await writeFile(file(output, '.run.json.99.2.tmp'), 'half')
    await writeFile(file(output, 'run.lock.abcd'), '')
  }, 'temporary files')
  await resumed(async (output) => {
    await rm(file(output, 'checkpoint.safetensors'))
  }, 'no checkpoint')
  await resumed(async (output) => {
    const dead = { pid: 2 ** 22 + 1, host: (await import('node:os')).hostname(), since: 'long ago', token: 'ab' }
    await writeFile(file(output, 'run.lock'), JSON.stringify(dead))
  }, 'the lock of a dead process')
  await resumed((output) => writeFile(file(output, 'adapter.safetensors'), 'half'), 'an adapter file without a record')
})

test.serial('another backbone, other data and other options are refused', async (t) => {
  const { folder, options } = await prepareTraining(t, { epochs: 2 })
  await t.throwsAsync(train({ ...options, ...abortAt(atStep(5)) }))
  const checkpoint = await readFile(join(options.output, 'checkpoint.safetensors'))
  const refuse = (more: Partial<TrainOptions>, code: string, message: RegExp) =>
    t.throwsAsync(train({ ...options, ...more, resume: true }), { code, message })

  await refuse({ learningRate: 2e-2 }, 'ERR_RUN_OPTIONS', /option "learningRate" was 0\.01, is now 0\.02/)
  await refuse(
    { epochs: 3, seed: 1 },
    'ERR_RUN_OPTIONS',
    /option "epochs" was 2, is now 3; option "seed" was 0, is now 1/,
  )
  await refuse({ adapter: { size: 4 } }, 'ERR_RUN_OPTIONS', /option "adapter\.size" was 8, is now 4/)
  await refuse({ adapter: false }, 'ERR_RUN_OPTIONS', /adapter/)
  await refuse({ dropout: 0 }, 'ERR_RUN_OPTIONS', /option "dropout\.hidden" was 0\.1, is now 0/)
  await refuse({ weightDecay: 0 }, 'ERR_RUN_OPTIONS', /option "weightDecay" was/)
  await refuse({ maxLength: 5 }, 'ERR_RUN_OPTIONS', /option "maxLength" was 16, is now 5/)
  await refuse({ metric: 'f1' }, 'ERR_RUN_OPTIONS', /option "metric" was "accuracy", is now "f1"/)
  await refuse({ earlyStopping: 1 }, 'ERR_RUN_OPTIONS', /option "earlyStopping" was not given, is now 1/)
  // A default that is given is no other option.
  await t.throwsAsync(train({ ...options, warmup: 0.1, resume: true, ...abortAt(({ kind }) => kind === 'start') }), {
    message: 'enough',
  })

  const rows = colourRows(96)
  const other = rows.map((row, i) => (i === 50 ? { ...row, text: 'the red bird sees a cat .' } : row))
  await refuse({ train: other }, 'ERR_RUN_DATA', /train\.sha256/)
  await refuse({ train: rows.slice(1) }, 'ERR_RUN_DATA', /train\.rows was 96, is now 95/)
  await refuse({ trainRows: 90 }, 'ERR_RUN_DATA', /train\.rows was 96, is now 90/)
  await refuse({ validation: rows.slice(0, 30) }, 'ERR_RUN_DATA', /validation\.rows was 40, is now 30/)
  await refuse({ validation: undefined }, 'ERR_RUN_DATA', /validation/)
  await refuse(
    { task: { kind: 'classification', labels: ['red', 'green', 'blue'] } },
    'ERR_RUN_DATA',
    /option "task\.labels" was \["blue","green","red"\]/,
  )

  const backbone = await tinyBackbone(join(folder, 'other'))
  const bytes = await readFile(join(backbone, 'model.onnx'))
  bytes.write('pyt0rch', bytes.indexOf('pytorch'))
  await writeFile(join(backbone, 'model.onnx'), bytes)
  await refuse({ backbone }, 'ERR_RUN_BACKBONE', /backbone is another file/)

  t.deepEqual(await readFile(join(options.output, 'checkpoint.safetensors')), checkpoint)
  // A finished run is the run of its options, too.
  await train({ ...options, resume: true })
  await refuse({ epochs: 4 }, 'ERR_RUN_OPTIONS', /epochs/)
})

test.serial('files of different runs, and broken ones', async (t) => {
  const { folder, options } = await prepareTraining(t, { epochs: 2 })
  const [one, two] = [join(folder, 'one'), join(folder, 'two')]
  await t.throwsAsync(train({ ...options, output: one, ...abortAt(atStep(5)) }))
  await t.throwsAsync(train({ ...options, output: two, seed: 1, ...abortAt(atStep(5)) }))
  const checkpoint = (output: string) => join(output, 'checkpoint.safetensors')
  const own = await readFile(checkpoint(one))
  const resume = (code: string, message: RegExp) =>
    t.throwsAsync(train({ ...options, output: one, resume: true }), { code, message })
  await writeFile(checkpoint(one), await readFile(checkpoint(two)))
  await resume('ERR_RUN_CHANGED', /belongs to another run/)
  await writeFile(checkpoint(one), own.subarray(0, own.length - 100))
  await resume('ERR_RUN_FILE', /checkpoint\.safetensors/)
  await writeFile(checkpoint(one), own)
  await writeFile(join(one, 'run.json'), '{')
  await resume('ERR_RUN_RECORD', /not valid JSON/)
})

test.serial('a training that diverges keeps what was good, and says what to try', async (t) => {
  const { folder, options } = await prepareTraining(t, {
    learningRate: 1e38,
    warmup: 1,
    clipNorm: 0,
    weightDecay: 0,
    adapter: false,
  })
  const error = await t.throwsAsync(train(options), { code: 'ERR_TRAIN_LOSS' })
  t.regex(
    error!.message,
    /^step \d+: the loss is (NaN|-?Infinity); .*smaller learning rate .*\(Epoch 1; training stopped/,
  )
  t.like(await readJson(join(options.output, 'run.json')), { status: 'failed', stopped: { code: 'ERR_TRAIN_LOSS' } })

  // One bad epoch after good ones: the checkpoint of then stays, to the byte.
  const output = join(folder, 'later')
  let kept: Promise<Buffer> | undefined
  const failure = new Error('a listener that fails ends the training too')
  const onProgress = (event: ProgressEvent) => {
    if (event.kind === 'checkpoint' && event.epoch === 1) kept = readFile(join(output, 'checkpoint.safetensors'))
    if (event.kind === 'step' && event.step === 20) throw failure
  }
  t.is(await t.throwsAsync(train({ ...options, learningRate: 1e-2, output, onProgress })), failure)
  t.deepEqual(await readFile(join(output, 'checkpoint.safetensors')), await kept)
  t.like(await readJson(join(output, 'run.json')), { status: 'failed', stopped: { step: 12, epoch: 1 } })
  await train({ ...options, learningRate: 1e-2, output, resume: true })
})

test.serial('two trainings into one folder', async (t) => {
  const { folder, options } = await prepareTraining(t)
  let second: Promise<unknown> | undefined
  const refusals: unknown[] = []
  const onProgress = (event: ProgressEvent) => {
    if (event.kind !== 'step' || event.step !== 3) return
    second = Promise.allSettled([
      train(options),
      train({ ...options, overwrite: true }),
      train({ ...options, resume: true }),
    ]).then((results) => refusals.push(...results))
  }
  await train({ ...options, onProgress })
  await second
  for (const refusal of refusals) t.like(refusal, { status: 'rejected', reason: { code: 'ERR_RUN_BUSY' } })
  t.is(refusals.length, 3)

  // Both start before either has made the folder: one wins.
  const output = join(folder, 'race')
  const results = await Promise.allSettled([train({ ...options, output }), train({ ...options, output })])
  t.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  const lost = results.find(({ status }) => status === 'rejected') as PromiseRejectedResult
  t.true(['ERR_RUN_BUSY', 'ERR_OUTPUT_EXISTS'].includes((lost.reason as { code: string }).code))
  t.deepEqual((await outcomeOf(output)).adapter, (await outcomeOf(options.output)).adapter)
})

test.serial('a lock that is taken away ends the training before it overwrites another one', async (t) => {
  const { options } = await prepareTraining(t)
  let done: Promise<void> | undefined
  const onProgress = (event: ProgressEvent) => {
    if (event.kind === 'checkpoint' && event.epoch === 1) done = rm(join(options.output, 'run.lock'))
  }
  const error = await t.throwsAsync(train({ ...options, onProgress }), { code: 'ERR_RUN_BUSY' })
  await done
  t.regex(error!.message, /taken away/)
  t.like(await readJson(join(options.output, 'run.json')), { status: 'training' })
})

test.serial('overwrite replaces the run and nothing else', async (t) => {
  const { options } = await prepareTraining(t, { epochs: 1 })
  await t.throwsAsync(train({ ...options, ...abortAt(atStep(5)) }))
  await mkdir(join(options.output, 'kept'))
  await writeFiles(options.output, { 'notes.txt': 'mine', 'more.tsv': asTsv([]) })
  await train({ ...options, overwrite: true, learningRate: 1e-3 })
  t.deepEqual((await readdir(options.output)).sort(), [
    'adapter.safetensors',
    'kept',
    'metrics.jsonl',
    'more.tsv',
    'notes.txt',
    'run.json',
  ])
  t.like(await readJson(join(options.output, 'run.json')), { status: 'complete', options: { learningRate: 1e-3 } })
})
