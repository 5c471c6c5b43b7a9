import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { FitState } from '../../lib/train/fit.js'
import { readCheckpoint, writeCheckpoint } from '../../lib/train/checkpoint.js'
import { finishRun, readAdapter, readRecord, runFiles, writeRecord, type RunRecord } from '../../lib/train/run.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'

const record: RunRecord = {
  format: 1,
  status: 'training',
  backbone: { name: 'b', path: '/b/model.onnx', sha256: '00' },
  task: { kind: 'classification', labels: ['a', 'b'] },
  options: { adapter: false, head: {}, trainable: ['head'], maxLength: 8, pair: false },
  data: { train: { rows: 2, sha256: '00' } },
  device: { kind: 'cpu', isa: 'scalar' },
  parameters: { trained: 1, total: 2, share: 0.5 },
  history: [],
  versions: { 'onnx-adapters': '0.0.0', node: '20.0.0' },
}
const tensors = (value: number) => new Map([['head.weight', { shape: [2, 1], data: Float32Array.of(value, -value) }]])

test('a finished run is read again', async (t) => {
  const folder = await temporaryFolder(t)
  await writeRecord(folder, record)
  await finishRun(folder, { ...record, status: 'complete' }, tensors(1))
  const read = await readRecord(folder)
  t.is(read.status, 'complete')
  t.deepEqual(await readAdapter(folder, read), tensors(1))
})

test('an adapter file that is not the one of run.json', async (t) => {
  const folder = await temporaryFolder(t)
  await finishRun(folder, { ...record, status: 'complete' }, tensors(1))
  const read = await readRecord(folder)
  const file = join(folder, runFiles.adapter)
  const bytes = await readFile(file)
  bytes[bytes.length - 1]! ^= 1
  await writeFile(file, bytes)
  await t.throwsAsync(readAdapter(folder, read), { code: 'ERR_RUN_CHANGED' })
})

test('a record that cannot be read', async (t) => {
  const folder = await temporaryFolder(t)
  await t.throwsAsync(readRecord(join(folder, 'absent')), { code: 'ERR_RUN_MISSING' })
  await writeFiles(folder, { [runFiles.record]: '{' })
  await t.throwsAsync(readRecord(folder), { code: 'ERR_RUN_RECORD', message: /JSON/ })
  await writeFiles(folder, { [runFiles.record]: '{"format": 9}' })
  await t.throwsAsync(readRecord(folder), { code: 'ERR_RUN_RECORD', message: /format 9/ })
})

test('a checkpoint keeps the state, the position, the identity and the best epoch', async (t) => {
  const folder = await temporaryFolder(t)
  const state = { step: 6, parameters: tensors(1), moment1: tensors(2), moment2: tensors(3) }
  const position: FitState = {
    epoch: 2,
    step: 6,
    // Digits that only a double holds: the mean loss of the epoch must come out the same.
    current: { steps: 2, lossSum: 0.1 + 0.2, seconds: 1 / 3 },
    history: [],
    best: { epoch: 1, metrics: { accuracy: 0.5 } },
    spent: { steps: 6, rows: 48, tokens: 400, milliseconds: 7.25 },
  }
  const { task, options, data } = record
  const identity = { backbone: '00', task, options, data }
  const kept = { state, position, identity, metricsBytes: 1234 }
  await writeCheckpoint(folder, { ...kept, best: tensors(4) })
  t.deepEqual(await readCheckpoint(folder), { ...kept, best: tensors(4) })
  await writeCheckpoint(folder, kept)
  t.deepEqual((await readCheckpoint(folder)).best, tensors(1))
  await finishRun(folder, record, tensors(1))
  await t.throwsAsync(readCheckpoint(folder), { code: 'ERR_RUN_FILE' })
})

test('a checkpoint whose position, identity or length of the log is damaged', async (t) => {
  const folder = await temporaryFolder(t)
  const state = { step: 6, parameters: tensors(1), moment1: tensors(2), moment2: tensors(3) }
  const spent = { steps: 6, rows: 48, tokens: 400, milliseconds: 7.25 }
  const { task, options, data } = record
  const whole = {
    state,
    position: { epoch: 2, step: 6, history: [], spent, best: { epoch: 1, metrics: {} } },
    identity: { backbone: '00', task, options, data },
    metricsBytes: 1234,
  }
  const wrong: readonly [object, RegExp][] = [
    [{ position: { ...whole.position, step: -1 } }, /"position\.step"/],
    [{ position: { ...whole.position, spent: {} } }, /"position\.spent"/],
    // An epoch that has ended is the best one, or has a better one before it.
    [{ position: { ...whole.position, best: undefined } }, /"position\.best"/],
    [{ identity: { ...whole.identity, data: {} } }, /"identity\.data\.train"/],
    [{ metricsBytes: NaN }, /"metrics_bytes"/],
  ]
  for (const [more, message] of wrong) {
    await writeCheckpoint(folder, { ...whole, ...more })
    await t.throwsAsync(readCheckpoint(folder), { code: 'ERR_RUN_FILE', message })
  }
})

test('another safetensors file is no checkpoint', async (t) => {
  const folder = await temporaryFolder(t)
  await finishRun(folder, record, tensors(1))
  await writeFile(join(folder, runFiles.checkpoint), await readFile(join(folder, runFiles.adapter)))
  await t.throwsAsync(readCheckpoint(folder), { code: 'ERR_RUN_FILE', message: /not a checkpoint/ })
})
