import { join } from 'node:path'
import type { Backbone } from '../backbone/backbone.js'
import { loadBackbone } from '../backbone/load.js'
import { checkPairs, isPair, makeDataset, type Dataset } from '../data/dataset.js'
import { readExamples } from '../data/readers/index.js'
import { taskFamily, type Task } from '../data/tasks/index.js'
import { checkChoice } from '../options.js'
import { writeCheckpoint } from './checkpoint.js'
import { countSteps, fit, type BestEpoch, type EpochRecord, type FitState, type Throughput } from './fit.js'
import { MetricsLog } from './metrics_log.js'
import { chooseMaxLength, fitRowsToModel } from './model_input.js'
import { running, type ParameterCount, type ProgressListener, type Running } from './progress.js'
import {
  checkOutput,
  currentVersions,
  finishRun,
  prepareOutput,
  runFiles,
  writeRecord,
  type Parameters,
  type RunRecord,
} from './run.js'
import { makeSchedule } from './schedule.js'
import { resolveTrainOptions, type TrainOptions, type TrainSettings } from './train_options.js'
import { Trainer } from './trainer.js'

export interface TrainResult {
  /** Folder of the run. */
  readonly output: string
  /** The epoch that was kept; without validation the last one. */
  readonly best: BestEpoch
  /** One record an epoch. */
  readonly history: readonly EpochRecord[]
  readonly parameters: ParameterCount
  readonly throughput: Throughput
}

/**
 * Trains adapters for a task on a frozen backbone and writes the folder of a run.
 *
 * The result can be awaited, and iterated over for progress. An aborted training finishes its step and rejects with the
 * signal's reason; the folder then holds the last finished epoch.
 *
 * @throws OptionError ERR_OPTION, ERR_OUTPUT_EXISTS; OnnxImportError ERR_ONNX_*; DataError ERR_DATA_*, ERR_TOKENIZER;
 * DeviceError; TrainError ERR_TRAIN_LOSS
 */
export function train(options: TrainOptions): Running<TrainResult> {
  return running((emit) => trainRun(options, emit), options?.onProgress)
}

async function trainRun(options: TrainOptions, emit: ProgressListener): Promise<TrainResult> {
  const settings = resolveTrainOptions(options)
  await checkOutput(options.output, options.overwrite ?? false)
  const backbone = typeof options.backbone === 'string' ? await loadBackbone(options.backbone) : options.backbone
  const { warning } = await backbone.verify()
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
  try {
    await prepareOutput(options.output)
    return await runFit(options, settings, { ...data, backbone, trainer, maxLength }, emit)
  } finally {
    await trainer.dispose()
  }
}

interface LoadedData {
  readonly task: Task
  readonly train: Dataset
  readonly validation?: Dataset
  /** True where a row is two texts. */
  readonly pair: boolean
}

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
  if (held) checkPairs(held, isPair(examples), 'the training data')
  const task = family.fit(settings.task, examples)
  if (settings.metric !== undefined) checkChoice('metric', settings.metric, task.metrics)
  const train = fitRowsToModel(await makeDataset(examples, task, tokenizer, maxLength), backbone)
  const validation = held && fitRowsToModel(await makeDataset(held, task, tokenizer, maxLength), backbone)
  const cut = train.truncated + (validation?.truncated ?? 0)
  if (cut > 0) {
    const rows = train.inputIds.length + (validation?.inputIds.length ?? 0)
    const message = `${cut} of ${rows} rows are longer than ${maxLength} tokens and were cut, the longer text first`
    emit({ kind: 'warning', code: 'WARN_TRUNCATED', message })
  }
  return { task, train, validation, pair: isPair(examples) }
}

interface Prepared extends LoadedData {
  readonly backbone: Backbone
  readonly trainer: Trainer
  readonly maxLength: number
}

async function runFit(
  options: TrainOptions,
  settings: TrainSettings,
  prepared: Prepared,
  emit: ProgressListener,
): Promise<TrainResult> {
  const { output, signal } = options
  const { task, train, validation, trainer } = prepared
  const { epochs, batchSize, learningRate, warmup } = settings
  const steps = countSteps(train.inputIds.length, batchSize, epochs)
  const parameters = await countParameters(prepared)
  const record = startRecord(settings, prepared, parameters)
  await writeRecord(output, record)
  const log = new MetricsLog(join(output, runFiles.metrics))
  const tell: ProgressListener = (event) => {
    log.add(event)
    emit(event)
  }
  emit({
    kind: 'start',
    rows: train.inputIds.length,
    validationRows: validation?.inputIds.length ?? 0,
    epochs,
    steps,
    parameters,
  })

  let best: Parameters | undefined
  const checkpoint = async (state: FitState, isBest: boolean) => {
    if (isBest) best = await trainer.tensors()
    await writeCheckpoint(output, await trainer.readState(), state, isBest ? undefined : best)
    await log.flush()
  }
  try {
    const result = await fit({
      model: trainer,
      task,
      train,
      validation,
      epochs,
      batchSize,
      signal,
      checkpoint,
      schedule: makeSchedule({ name: settings.schedule, rate: learningRate, warmup, total: steps }),
      seed: settings.seed,
      metric: settings.metric ?? task.defaultMetric,
      earlyStopping: settings.earlyStopping,
      emit: tell,
    })
    const { history, throughput } = result
    await finishRun(output, { ...record, status: 'complete', history, best: result.best, throughput }, best!)
    return { output, best: result.best, history, parameters, throughput }
  } finally {
    await log.flush()
  }
}

async function countParameters({ backbone, trainer }: Prepared): Promise<ParameterCount> {
  const trained = trainer.trainedParameters
  const own = [...(await trainer.tensors())]
  // Trained tensors of the backbone count once: in its own sum.
  const added = own.filter(([name]) => name.startsWith('head.') || name.includes('.adapter.'))
  const total = backbone.config.parameters + added.reduce((sum, [, { data }]) => sum + data.length, 0)
  return { trained, total, share: trained / total }
}

function startRecord(
  settings: TrainSettings,
  { backbone, task, pair, maxLength, train, validation }: Prepared,
  parameters: ParameterCount,
): RunRecord {
  const {
    trainer,
    epochs,
    batchSize,
    learningRate,
    warmup,
    schedule,
    seed,
    metric = task.defaultMetric,
    earlyStopping,
  } = settings
  const { adapter = {}, head = {}, trainable = ['adapters', 'layerNorm', 'head'], optimizer, dropout } = trainer
  return {
    format: 1,
    status: 'training',
    backbone: { name: backbone.name, path: backbone.file, sha256: backbone.sha256 },
    task: task.record(),
    options: {
      adapter:
        adapter === false ? false : { size: 64, activation: 'gelu_tanh', initialStd: 1e-2, layers: 'all', ...adapter },
      head: { pool: 'cls', ...head },
      trainable,
      optimizer,
      dropout,
      epochs,
      batchSize,
      learningRate,
      warmup,
      schedule,
      seed,
      metric,
      earlyStopping,
      maxLength,
      pair,
      rows: { train: train.inputIds.length, validation: validation?.inputIds.length ?? 0 },
    },
    parameters,
    history: [],
    versions: currentVersions(),
  }
}
