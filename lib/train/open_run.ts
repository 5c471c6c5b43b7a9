import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isBackbone, type Backbone } from '../backbone/backbone.js'
import { loadBackbone } from '../backbone/load.js'
import { isPortableName } from '../backbone/names.js'
import { loadTask, type Task } from '../data/tasks/index.js'
import { BackboneError, OptionError, RunError } from '../errors.js'
import { checkNumber, wrongOption } from '../options.js'
import { checkDevice, resolveDevice, resolveThreads } from '../runtime/device.js'
import { checkPrecision } from '../runtime/precision.js'
import { readCheckpoint } from './checkpoint.js'
import type { FitState } from './fit.js'
import type { Warning } from './progress.js'
import { blameFile, readAdapter, readRecord, runFiles, type Parameters, type RunRecord } from './run.js'
import { TaskModel } from './task_model.js'
import type { TrainerOptions } from './trainer_options.js'

export interface OpenRunOptions {
  /** Where the backbone lies now, or one that is already loaded. @default where it lay in training, else its name */
  readonly backbone?: string | Backbone
  readonly device?: TrainerOptions['device']
  /** Need not be that of the training. @default 'auto' */
  readonly precision?: TrainerOptions['precision']
  readonly threads?: number
}

/** A trained model, ready to be run, not to be trained further. */
export interface OpenRun {
  readonly record: RunRecord
  readonly task: Task
  readonly backbone: Backbone
  readonly model: TaskModel
  /** WARN_RUN_UNFINISHED of a training that is not at its end. */
  readonly warnings: readonly Warning[]
}

/** A run as its files have it, with its backbone and without an engine. */
export interface RunFiles {
  readonly record: RunRecord
  readonly task: Task
  readonly backbone: Backbone
  readonly tensors: Parameters
  /** Where the tensors are from. */
  readonly file: string
  readonly warnings: readonly Warning[]
}

/**
 * Loads a run: its backbone, which must be the very file it was trained on, and its trained tensors (of a training that
 * was stopped: those of its best epoch so far, or of now where no epoch has ended, with a warning).
 * @throws RunError ERR_RUN_*; OnnxImportError ERR_ONNX_*; DeviceError
 */
export async function openRun(folder: string, options: OpenRunOptions = {}): Promise<OpenRun> {
  const { tensors, file, ...run } = await readRun(folder, options)
  const { device, precision, threads } = options
  const model = await blameRecord(folder, () => TaskModel.create({ ...modelOptions(run), device, precision, threads }))
  try {
    await blameFile(file, () => model.setParameters(tensors))
  } catch (error) {
    await model.dispose()
    throw error
  }
  return { ...run, model }
}

/** What a run says that its model is. */
export function modelOptions({
  record,
  task,
  backbone,
}: Pick<RunFiles, 'record' | 'task' | 'backbone'>): TrainerOptions {
  const { adapter, head, trainable } = record.options
  return {
    backbone,
    task: { kind: task.kind, outputs: task.outputs },
    adapter: adapter as TrainerOptions['adapter'],
    head: head as TrainerOptions['head'],
    trainable: trainable as TrainerOptions['trainable'],
  }
}

/**
 * The files of a run, as `openRun` loads them.
 * @param load brings the backbone from where it lies
 */
export async function readRun(folder: string, options: OpenRunOptions, load: Load = loadBackbone): Promise<RunFiles> {
  const { backbone: given } = options
  if (given !== undefined && (typeof given === 'string' ? given === '' : !isBackbone(given)))
    throw wrongOption('backbone', 'a folder, an .onnx file, a name or a loaded backbone', given)
  resolveThreads(options.threads)
  checkDevice(options.device ?? 'auto')
  checkPrecision(options.precision ?? 'auto', options.device)
  resolveDevice(options.device, options.precision)
  const record = await readRecord(folder)
  const task = await blameRecord(folder, () => checkRecord(record))
  const { tensors, file, warnings } = await readTensors(folder, record)
  const { backbone: chosen = record.backbone.path } = options
  const backbone =
    typeof chosen === 'string'
      ? await loadRecorded(folder, record, chosen, options.backbone !== undefined, load)
      : chosen
  if (backbone.sha256 !== record.backbone.sha256) {
    throw new RunError(
      'ERR_RUN_BACKBONE',
      `${folder}: was trained on the backbone "${record.backbone.name}" (sha256 ${record.backbone.sha256}), ` +
        `but ${backbone.file} is another file (sha256 ${backbone.sha256})`,
      { file: backbone.file, found: backbone.sha256, expected: record.backbone.sha256 },
    )
  }
  return { record, task, backbone, tensors, file, warnings }
}

type Load = (path: string) => Promise<Backbone>

/** The task of a record, once what else is read of it has been checked. @throws OptionError ERR_OPTION */
function checkRecord({ backbone, options, task }: RunRecord): Task {
  if (typeof backbone.path !== 'string') throw wrongOption('backbone.path', 'a path', backbone.path)
  checkNumber('maxLength', options.maxLength, { least: 1, integer: true })
  if (typeof options.pair !== 'boolean') throw wrongOption('pair', 'true or false', options.pair)
  return loadTask(task)
}

/** Builds from the record, whose values are checked as options are: a wrong one is the file's fault, not the caller's. */
export async function blameRecord<T>(folder: string, build: () => T | Promise<T>): Promise<T> {
  try {
    return await build()
  } catch (cause) {
    if (!(cause instanceof OptionError || cause instanceof TypeError)) throw cause
    const file = join(folder, runFiles.record)
    const details = cause instanceof OptionError ? cause.details : {}
    throw new RunError(
      'ERR_RUN_RECORD',
      `${file}: describes no model that this version can build: ${cause.message}`,
      { ...details, file },
      { cause },
    )
  }
}

/** Trained tensors, the file that they are from, and what is to be known of them. */
interface KeptTensors {
  readonly tensors: Parameters
  readonly file: string
  readonly warnings: readonly Warning[]
}

/** Of a run under way, the newest checkpoint; it may come to its end while we look. */
async function readTensors(folder: string, record: RunRecord): Promise<KeptTensors> {
  if (record.status === 'complete')
    return { tensors: await readAdapter(folder, record), file: join(folder, runFiles.adapter), warnings: [] }
  const file = join(folder, runFiles.checkpoint)
  if (existsSync(file)) {
    const { best, position } = await readCheckpoint(folder)
    return { tensors: best, file, warnings: [unfinished(folder, position)] }
  }
  const now = await readRecord(folder)
  if (now.status === 'complete') return readTensors(folder, now)
  throw new RunError(
    'ERR_RUN_MISSING',
    `${folder}: this run was stopped, or is, before its first checkpoint: go on with it by train with option "resume"`,
    { file },
  )
}

function unfinished(folder: string, { best, step }: FitState): Warning {
  const what = best
    ? `what is used is its epoch ${best.epoch}, the best so far`
    : step > 0
      ? `it came to an end before its first epoch ended, after step ${step} of it: its parameters are hardly trained`
      : 'it came to an end before its first step: its parameters are untrained'
  const message = `${folder}: this run is not finished; ${what}. Train with option "resume" goes on with it`
  return { code: 'WARN_RUN_UNFINISHED', message }
}

/** The backbone where it lay; where it is not there any more, one that has a name of the hub is found or brought again. */
async function loadRecorded(
  folder: string,
  record: RunRecord,
  path: string,
  asked: boolean,
  load: Load,
): Promise<Backbone> {
  const { name } = record.backbone
  const isGone = (error: unknown) => !asked && (error as { code?: unknown }).code === 'ERR_ONNX_MISSING'
  const lost = (cause: unknown, more: string) =>
    new RunError(
      'ERR_RUN_BACKBONE',
      `${folder}: its backbone "${name}" is not at ${path} any more${more}; say where it is by option "backbone"`,
      { file: path, name },
      { cause },
    )
  return load(path).catch((error: unknown) => {
    if (!isGone(error)) throw error
    if (!isPortableName(name)) throw lost(error, '')
    return load(name).catch((cause: unknown) => {
      throw cause instanceof BackboneError ? lost(cause, `, and ${cause.message}`) : cause
    })
  })
}
