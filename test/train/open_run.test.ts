/** A run that is opened again: what its files say is checked, and a fault of theirs is told as theirs. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  evaluate,
  Predictor,
  RunError,
  train,
  Trainer,
  type EvaluateOptions,
  type ProgressEvent,
  type Warning,
} from '../../lib/index.js'
import { resolveDevice } from '../../lib/runtime/device.js'
import { openRun } from '../../lib/train/open_run.js'
import { finishRun, readAdapter, readRecord, type Parameters } from '../../lib/train/run.js'
import { colourRows, temporaryFolder, tinyBackbone } from '../support/folder.js'
import { abortAt, prepareTraining } from '../support/training.js'

type Json = Record<string, unknown>

async function finishedRun(t: ExecutionContext): Promise<string> {
  const folder = await temporaryFolder(t)
  const output = join(folder, 'run')
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  await train({ backbone, train: colourRows(12), output, adapter: { size: 4 }, epochs: 1, threads: 1 })
  return output
}

const wrong: readonly [what: string, change: (record: Json, options: Json) => void, message: RegExp][] = [
  ['a task of another kind', (record) => (record['task'] = { kind: 'clasification' }), /did you mean "classification"/],
  ['a task without labels', (record) => (record['task'] = { kind: 'classification' }), /describes no model/],
  ['an adapter of size 0', (_, options) => (options['adapter'] = { size: 0 }), /adapter\.size.*not 0/],
  ['an adapter that is a word', (_, options) => (options['adapter'] = 'small'), /adapter|option/],
  ['a pool that is not known', (_, options) => (options['head'] = { pool: 'mead' }), /did you mean "mean"/],
  ['no trained part', (_, options) => (options['trainable'] = []), /trainable/],
  ['a layer that the model lacks', (_, options) => (options['adapter'] = { size: 4, layers: [7] }), /layer 7/],
  ['a length that is text', (_, options) => (options['maxLength'] = '16'), /maxLength.*not "16"/],
  ['pairs that are neither true nor false', (_, options) => delete options['pair'], /pair/],
  ['no data', (record) => delete record['data'], /"data\.train"/],
  ['no device', (record) => delete record['device'], /"device\.isa"/],
  ['versions that are a word', (record) => (record['versions'] = '1'), /"versions/],
  ['a backbone without a path', (record) => (record['backbone'] = { sha256: '' }), /backbone\.path/],
]

test('a record that was changed is named, with what is wrong in it', async (t) => {
  const run = await finishedRun(t)
  const file = join(run, 'run.json')
  const text = await readFile(file, 'utf8')
  const open = () => evaluate({ run, data: colourRows(6), threads: 1 })
  await t.notThrowsAsync(open())
  for (const [what, change, message] of wrong) {
    const record = JSON.parse(text) as Json
    change(record, record['options'] as Json)
    await writeFile(file, JSON.stringify(record))
    const error = await t.throwsAsync<Error & { details: Json }>(open(), { code: 'ERR_RUN_RECORD' }, what)
    t.true(error?.message.startsWith(`${file}: `), what)
    t.regex(error?.message ?? '', message, what)
    t.is(error?.details['file'], file, what)
  }
})

test('tensors that the model cannot take are a fault of their file', async (t) => {
  const run = await finishedRun(t)
  const record = await readRecord(run)
  const tensors = await readAdapter(run, record)
  const bias = tensors.get('head.bias')!
  const changes: readonly [Parameters, RegExp][] = [
    [new Map([...tensors, ['head.bias', { ...bias, data: bias.data.map(() => NaN) }]]), /"head\.bias".*value 0 is NaN/],
    [new Map([...tensors, ['head.bias', { shape: [1], data: Float32Array.of(1) }]]), /"head\.bias" must be \[3\]/],
  ]
  for (const [changed, message] of changes) {
    await finishRun(run, record, changed)
    const error = await t.throwsAsync<RunError>(evaluate({ run, data: colourRows(6), threads: 1 }), {
      instanceOf: RunError,
      code: 'ERR_RUN_FILE',
      message,
    })
    t.is(error?.details['file'], join(run, 'adapter.safetensors'))
  }
})

test("the caller's own options are told first, as options", async (t) => {
  const run = join(await temporaryFolder(t), 'absent')
  await t.throwsAsync(evaluate({ run, data: [], threads: 0 }), { code: 'ERR_OPTION', message: /"threads".*not 0/ })
  await t.throwsAsync(evaluate({ run, data: [], device: 'cpuu' as never }), {
    code: 'ERR_OPTION',
    message: /did you mean "cpu"/,
  })
})

test('evaluate and Predictor check their options before they open anything', async (t) => {
  const run = join(await temporaryFolder(t), 'absent')
  const wrong: readonly [object, RegExp][] = [
    [{ data: undefined }, /"data"/],
    [{ data: {} }, /"data"/],
    [{ columns: null }, /columns.*null/],
    [{ columns: { txt: 'a' } }, /did you mean "text"/],
    [{ signal: 5 }, /"signal"/],
    [{ backbone: {} }, /"backbone"/],
    [{ backbone: null }, /"backbone"/],
  ]
  for (const [more, message] of wrong) {
    const options = { run, data: [], ...more } as EvaluateOptions
    await t.throwsAsync(evaluate(options), { code: 'ERR_OPTION', message }, JSON.stringify(more))
  }
  await t.throwsAsync(Predictor.load(run, { backbone: {} as never }), { code: 'ERR_OPTION', message: /"backbone"/ })
  for (const folders of [[5], [''], [], 5])
    await t.throwsAsync(Predictor.load(folders as never), { code: 'ERR_OPTION', message: /folder of a run/ })
})

/** What evaluate and Predictor warn of, of a run that is aborted at an event. */
async function warningsOf(t: ExecutionContext, is: (event: ProgressEvent) => boolean): Promise<Warning[]> {
  const { options } = await prepareTraining(t)
  await t.throwsAsync(train({ ...options, ...abortAt(is) }), { message: 'enough' })
  const run = options.output
  const { warnings } = await evaluate({ run, data: colourRows(6), threads: 1 })
  await using predictor = await Predictor.load([run], { threads: 1 })
  t.deepEqual(predictor.warnings, warnings)
  return [...warnings]
}

test('a run that is not finished is told, with how far it came', async (t) => {
  const cases: readonly [(event: ProgressEvent) => boolean, RegExp][] = [
    [({ kind }) => kind === 'start', /before its first step: its parameters are untrained.*option "resume"/],
    [(event) => event.kind === 'step' && event.step === 3, /before its first epoch ended, after step 3 of it/],
    [(event) => event.kind === 'step' && event.step === 14, /epoch 1, the best so far/],
  ]
  for (const [is, message] of cases) {
    const [warning, ...more] = await warningsOf(t, is)
    t.is(warning?.code, 'WARN_RUN_UNFINISHED')
    t.regex(warning?.message ?? '', message)
    t.deepEqual(more, [])
  }
  const run = await finishedRun(t)
  t.deepEqual((await evaluate({ run, data: colourRows(6), threads: 1 })).warnings, [])
})

test('a run that is opened pays for inference alone', async (t) => {
  const output = await finishedRun(t)
  const { model, backbone } = await openRun(output, { threads: 1 })
  t.deepEqual(
    model.plan.entries.map(({ entry }) => entry.name),
    ['forward', 'evaluate'],
  )
  t.is(model.memory().parameters, 4 * model.plan.layout.size, 'no gradients, no moments')
  const weights = backbone.weights(resolveDevice().isa).native
  const packed = weights.bytes()
  const trainer = await Trainer.create({ backbone, task: { kind: 'classification', outputs: 2 }, threads: 1 })
  t.true(weights.bytes() > 1.3 * packed, 'only training packs weights for the backward pass')
  t.true(trainer.memory().parameters > 3 * model.memory().parameters)
  await trainer.dispose()
  await model.dispose()
})
