import { presetNames, presets, type PresetName } from '../adapters/presets.js'
import type { AdapterOptions } from '../adapters/houlsby.js'
import type { Trainable } from '../adapters/trainable.js'
import { isBackbone, type Backbone } from '../backbone/backbone.js'
import type { Columns, DataSource } from '../data/example.js'
import { checkTask, type TaskOptions } from '../data/tasks/index.js'
import { OptionError } from '../errors.js'
import { heads } from '../heads/index.js'
import type { TaskKind } from '../kinds.js'
import { checkChoice, checkKeys, checkNumber, wrongOption } from '../options.js'
import { checkColumns, checkSignal, checkSource } from './data_options.js'
import type { OutputMode } from './output.js'
import { largestFloat } from './optimizer.js'
import type { ProgressListener } from './progress.js'
import { schedules, type ScheduleName } from './schedule.js'
import { resolveTrainerOptions, trainsAdapters, type TrainerOptions } from './trainer_options.js'

/** Options of `train()`. */
export interface TrainOptions {
  /** A folder, an .onnx file, a name as `fetchBackbone` takes them, or a backbone that is already loaded. */
  readonly backbone: string | Backbone
  /** A file (TSV, CSV, JSON Lines, CoNLL, SQuAD; .gz too), or rows. */
  readonly train: DataSource
  /** Picks the best epoch. @default none: the last epoch is kept */
  readonly validation?: DataSource
  /** Folder of the run; made where there is none. */
  readonly output: string
  /** @default 'classification' */
  readonly task?: TaskKind | TaskOptions
  /** Names of the columns, where they are not the usual ones. */
  readonly columns?: Columns
  /** Defaults of a publication; explicit options override. @default none */
  readonly preset?: PresetName
  /** `false`: no adapters. Refused where `trainable` leaves adapters out. @default size 64, gelu_tanh, in all layers */
  readonly adapter?: AdapterOptions | false
  /** @default ['adapters', 'layerNorm', 'head'] */
  readonly trainable?: Trainable
  /** @default { pool: 'cls' } */
  readonly head?: TrainerOptions['head']
  /** @default 3 */
  readonly epochs?: number
  /** Rows a step. @default 32 */
  readonly batchSize?: number
  /** Peak rate. @default 1e-3 */
  readonly learningRate?: number
  /** Share of all steps that warm up, 0 to 1. @default 0.1 */
  readonly warmup?: number
  /** @default 'linear' */
  readonly schedule?: ScheduleName
  /** Decoupled, on matrices only. @default 0.01 */
  readonly weightDecay?: number
  /** Largest global norm of the gradients; 0: no clipping. @default 1 */
  readonly clipNorm?: number
  /** One number for all places, or one for each; in [0, 1). @default 0.1, for places that are not named too */
  readonly dropout?: TrainerOptions['dropout']
  /** Tokens a row may have; longer rows are cut longest-first. @default 128, or the model's positions if fewer */
  readonly maxLength?: number
  /** Whole number from 0; the same seed gives the same run. @default 0 */
  readonly seed?: number
  /** @default 'auto' */
  readonly device?: TrainerOptions['device']
  /** @default 'auto' */
  readonly precision?: TrainerOptions['precision']
  /** @default all the system offers */
  readonly threads?: number
  /** The metric that picks the best epoch. @default the task's */
  readonly metric?: string
  /** Stop after so many epochs without a better one. @default off */
  readonly earlyStopping?: number
  /** Use the first rows only. @default all */
  readonly trainRows?: number
  /** Replace a run that is in the output folder; other files stay. @default false */
  readonly overwrite?: boolean
  /**
   * Go on with the run in the output folder from its last checkpoint, to the same bytes as without the break. Backbone,
   * data and all options that the result depends on must be those of then; output (the folder may have moved), threads,
   * device, precision, checkpointSteps, signal and onProgress may be others. A finished run gives its result back at
   * once, and a folder without a run starts one, both with a warning. @default false
   */
  readonly resume?: boolean
  /**
   * Write a checkpoint every so many steps, besides the one after each epoch; 0: after epochs only.
   * @default one a minute, or fewer where writing them would take more than 2 % of the time
   */
  readonly checkpointSteps?: number
  /** Finishes the step under way, writes a checkpoint, then rejects with the signal's reason. */
  readonly signal?: AbortSignal
  readonly onProgress?: ProgressListener
}

/** Options with their defaults, checked. What depends on backbone and data is checked when those are there. */
export interface TrainSettings {
  readonly task: TaskOptions
  readonly trainer: Omit<TrainerOptions, 'backbone' | 'task'>
  readonly epochs: number
  readonly batchSize: number
  readonly learningRate: number
  readonly warmup: number
  readonly schedule: ScheduleName
  readonly maxLength: number | undefined
  readonly seed: number
  readonly metric: string | undefined
  readonly earlyStopping: number | undefined
  readonly trainRows: number | undefined
  readonly mode: OutputMode
  readonly checkpointSteps: number | undefined
}

const usualDropout = 0.1

/** Every option of `train()`. */
export const trainOptionNames: readonly (keyof TrainOptions)[] = [
  'backbone',
  'train',
  'validation',
  'output',
  'task',
  'columns',
  'preset',
  'adapter',
  'trainable',
  'head',
  'epochs',
  'batchSize',
  'learningRate',
  'warmup',
  'schedule',
  'weightDecay',
  'clipNorm',
  'dropout',
  'maxLength',
  'seed',
  'device',
  'precision',
  'threads',
  'metric',
  'earlyStopping',
  'trainRows',
  'overwrite',
  'resume',
  'checkpointSteps',
  'signal',
  'onProgress',
]

/**
 * Checks all that can be checked before any work.
 * @throws OptionError ERR_OPTION naming the option; a misspelt one gets the right name
 */
export function resolveTrainOptions(options: TrainOptions): TrainSettings {
  checkKeys('train', options, trainOptionNames)
  checkRequired(options)
  const preset = options.preset === undefined ? undefined : presets[checkChoice('preset', options.preset, presetNames)]
  const { epochs = 3, batchSize = 32, learningRate = 1e-3, seed = 0 } = options
  const trainer = trainerOptions(options, preset)
  const { task: given = 'classification' } = options
  const task = typeof given === 'object' && given !== null ? given : { kind: given }
  const { metrics } = checkTask(task)
  const metric = options.metric === undefined ? undefined : checkChoice('metric', options.metric, metrics)
  // Adapters, trained parts, optimizer, dropout and the like: the trainer's own rules.
  resolveTrainerOptions({
    ...trainer,
    task: { kind: task.kind, outputs: heads[task.kind].outputs ?? 2 },
    backbone: undefined as unknown as Backbone,
  })
  const count = { least: 1, integer: true }
  return {
    task,
    trainer,
    epochs: checkNumber('epochs', epochs, count),
    batchSize: checkNumber('batchSize', batchSize, count),
    learningRate: checkNumber('learningRate', learningRate, { above: 0, most: largestFloat }),
    warmup: checkNumber('warmup', options.warmup ?? preset?.warmup ?? 0.1, { least: 0, most: 1 }),
    schedule: checkChoice('schedule', options.schedule ?? preset?.schedule ?? 'linear', schedules),
    maxLength: optionalCount('maxLength', options.maxLength),
    seed,
    metric,
    earlyStopping: optionalCount('earlyStopping', options.earlyStopping),
    trainRows: optionalCount('trainRows', options.trainRows),
    mode: options.resume ? 'resume' : options.overwrite ? 'overwrite' : 'new',
    checkpointSteps:
      options.checkpointSteps === undefined
        ? undefined
        : checkNumber('checkpointSteps', options.checkpointSteps, { least: 0, integer: true }),
  }
}

function trainerOptions(
  options: TrainOptions,
  preset: (typeof presets)[PresetName] | undefined,
): TrainSettings['trainer'] {
  const {
    adapter,
    head,
    trainable,
    weightDecay,
    clipNorm,
    dropout = usualDropout,
    seed = 0,
    device,
    precision,
    threads,
  } = options
  return {
    // Where no adapters are trained, those of a preset are not asked for.
    adapter: over(trainsAdapters(trainable) ? preset?.adapter : undefined, adapter),
    head: over<NonNullable<TrainOptions['head']>>(preset?.head, head),
    trainable,
    optimizer: {
      ...preset?.optimizer,
      ...(weightDecay === undefined ? {} : { weightDecay: checkNumber('weightDecay', weightDecay, { least: 0 }) }),
      ...(clipNorm === undefined ? {} : { clipNorm: checkNumber('clipNorm', clipNorm, { least: 0 }) }),
    },
    dropout: everyPlace(dropout),
    seed,
    device,
    precision,
    threads:
      threads === undefined ? undefined : checkNumber('threads', threads, { least: 1, most: 1024, integer: true }),
  }
}

/** A preset's options under those that are given; what is no object stays as it is, for the trainer to judge. */
function over<T extends object | false>(preset: T | undefined, given: T | undefined): T {
  if (given === undefined || (typeof given === 'object' && given !== null && !Array.isArray(given)))
    return { ...preset, ...given } as T
  return given
}

/** Places that are not named keep the usual rate. */
function everyPlace(dropout: NonNullable<TrainOptions['dropout']>): NonNullable<TrainOptions['dropout']> {
  if (typeof dropout !== 'object' || dropout === null || Array.isArray(dropout)) return dropout
  const { hidden = usualDropout, attention = usualDropout, head = usualDropout } = dropout
  return { ...dropout, hidden, attention, head }
}

function checkRequired(options: TrainOptions): void {
  const { backbone, train, validation, output, columns, signal, onProgress } = options
  if (typeof backbone === 'string' ? backbone === '' : !isBackbone(backbone))
    throw wrongOption('backbone', 'a folder, an .onnx file, a name or a loaded backbone', backbone)
  checkSource('train', train)
  if (validation !== undefined) checkSource('validation', validation)
  if (typeof output !== 'string' || output === '') throw wrongOption('output', 'the folder to write to', output)
  checkColumns(columns)
  checkMode(options)
  checkSignal(signal)
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw wrongOption('onProgress', 'a function', onProgress)
}

function optionalCount(option: string, value: number | undefined): number | undefined {
  return value === undefined ? undefined : checkNumber(option, value, { least: 1, integer: true })
}

function checkMode({ overwrite = false, resume = false, earlyStopping, validation }: TrainOptions): void {
  if (typeof overwrite !== 'boolean') throw wrongOption('overwrite', 'true or false', overwrite)
  if (typeof resume !== 'boolean') throw wrongOption('resume', 'true or false', resume)
  if (overwrite && resume) {
    throw new OptionError(
      'ERR_OPTION',
      'option "overwrite" and option "resume" exclude each other: one starts anew, the other goes on',
      { option: 'resume', got: true, expected: 'one of overwrite, resume' },
    )
  }
  if (earlyStopping !== undefined && validation === undefined) {
    throw new OptionError(
      'ERR_OPTION',
      'option "earlyStopping" needs option "validation": without it no epoch is better',
      {
        option: 'earlyStopping',
        got: earlyStopping,
        expected: 'validation',
      },
    )
  }
}
