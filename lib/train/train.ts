import type { Backbone } from '../backbone/backbone.js'
import { loadBackbone } from '../backbone/load.js'
import { checkPairs, isPair, makeDataset } from '../data/dataset.js'
import { readExamples } from '../data/readers/index.js'
import { taskFamily } from '../data/tasks/index.js'
import type { TaskKind } from '../kinds.js'
import { checkChoice } from '../options.js'
import { resolveDevice } from '../runtime/device.js'
import { execute, type Prepared, type TrainResult } from './execute.js'
import { checkRoom, chooseMaxLength, fitRowsToModel } from './model_input.js'
import { checkOutput } from './output.js'
import { running, type ProgressListener, type Running } from './progress.js'
import { resolveTrainOptions, type TrainOptions, type TrainSettings } from './train_options.js'
import { Trainer } from './trainer.js'

export type { TrainResult } from './execute.js'

/**
 * Trains adapters for a task on a frozen backbone and writes the folder of a run.
 *
 * The result can be awaited, and iterated over for progress. An aborted training finishes its step, writes a checkpoint
 * and rejects with the signal's reason. A training that ended early in whatever way goes on with `resume`, and then
 * gives the same bytes as one that never stopped.
 *
 * @throws OptionError ERR_OPTION, ERR_OUTPUT_EXISTS; OnnxImportError ERR_ONNX_*; DataError ERR_DATA_*, ERR_TOKENIZER;
 * DeviceError; TrainError ERR_TRAIN_LOSS, ERR_TRAIN_GRADIENT; RunError ERR_RUN_WRITE (disk full, read-only), ERR_RUN_BUSY (another run is
 * writing there), and with `resume` ERR_RUN_BACKBONE, ERR_RUN_OPTIONS, ERR_RUN_DATA where something has changed
 */
export function train(options: TrainOptions): Running<TrainResult> {
  return running((emit) => trainRun(options, emit), options?.onProgress)
}

async function trainRun(options: TrainOptions, emit: ProgressListener): Promise<TrainResult> {
  const settings = resolveTrainOptions(options)
  await checkOutput(options.output, settings.mode)
  const { backbone: given, signal: stop } = options
  const backbone = typeof given === 'string' ? await loadBackbone(given, { signal: stop }) : given
  const { warning } = await backbone.verify()
  options.signal?.throwIfAborted()
  if (warning) emit({ kind: 'warning', code: 'WARN_NOT_VERIFIED', message: warning })
  const maxLength = chooseMaxLength(settings.maxLength, backbone)
  const data = await loadData(options, settings, backbone, maxLength, emit)
  options.signal?.throwIfAborted()
  const { task } = data
  const trainer = await Trainer.create({
    ...settings.trainer,
    backbone,
    task: { kind: task.kind, outputs: task.outputs },
  })
  // What is packed for the device is enough for the rest.
  if (typeof given === 'string') backbone.release()
  try {
    if (task.initialBias) {
      await trainer.setParameters(new Map([['head.bias', { data: Float32Array.from(task.initialBias) }]]))
    }
    const { output, signal } = options
    const device = resolveDevice(settings.trainer.device, settings.trainer.precision)
    return await execute({ ...data, settings, output, signal, backbone, device, trainer, maxLength }, emit)
  } finally {
    await trainer.dispose()
  }
}

type LoadedData = Pick<Prepared, 'task' | 'train' | 'validation' | 'pair'>

async function loadData(
  options: TrainOptions,
  settings: TrainSettings,
  backbone: Backbone,
  maxLength: number,
  emit: ProgressListener,
): Promise<LoadedData> {
  const { columns } = options
  const tokenizer = await backbone.tokenizer()
  const family = taskFamily(settings.task.kind)
  const read = { columns, fields: family.fields }
  const examples = await readExamples(options.train, { ...read, limit: settings.trainRows })
  const held = options.validation === undefined ? undefined : await readExamples(options.validation, read)
  const pair = isPair(examples)
  if (held) checkPairs(held, pair, 'the training data')
  checkRoom(maxLength, settings.task.kind, pair, tokenizer)
  const task = family.fit(settings.task, examples, (code, message) => emit({ kind: 'warning', code, message }))
  if (settings.metric !== undefined) checkChoice('metric', settings.metric, task.metrics)
  const train = fitRowsToModel(await makeDataset(examples, task, tokenizer, maxLength), backbone)
  const validation = held && fitRowsToModel(await makeDataset(held, task, tokenizer, maxLength), backbone)
  const cut = train.truncated + (validation?.truncated ?? 0)
  if (cut > 0) {
    const rows = train.inputIds.length + (validation?.inputIds.length ?? 0)
    const message = `${cut} of ${rows} rows ${describeCut(task.kind, maxLength)}`
    emit({ kind: 'warning', code: 'WARN_TRUNCATED', message })
  }
  return { task, train, validation, pair }
}

/** What was cut of a row: not the same in each kind of task. */
function describeCut(kind: TaskKind, maxLength: number): string {
  if (kind === 'span') return `have a question that is longer than half of ${maxLength} tokens and was cut`
  if (kind === 'token') return `have a word that is longer than ${maxLength} tokens and was cut`
  return `are longer than ${maxLength} tokens and were cut, the longer text first`
}
