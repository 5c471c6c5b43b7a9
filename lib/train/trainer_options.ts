import { adapterActivations, type AdapterOptions } from '../adapters/houlsby.js'
import { headStd } from '../adapters/init.js'
import type { DropoutRates } from '../adapters/apply_dropout.js'
import { trainableParts, type Trainable } from '../adapters/trainable.js'
import type { Backbone } from '../backbone/backbone.js'
import { OptionError } from '../errors.js'
import { pools, type Pool } from '../heads/define.js'
import { heads } from '../heads/index.js'
import { taskKinds, type TaskKind } from '../kinds.js'
import { checkChoice, checkKeys, checkNumber, show, wrongOption } from '../options.js'
import { checkDevice, type Device } from '../runtime/device.js'
import { checkPrecision, type Precision } from '../runtime/precision.js'
import { resolveOptimizer, type Optimizer, type OptimizerOptions } from './optimizer.js'

/** What the head gives: a kind, and how many logits, as a number or by the labels' names. */
export interface TrainerTask {
  readonly kind: TaskKind
  /** Width of the logits. @default the number of labels; 1 for regression, 2 for span */
  readonly outputs?: number
  readonly labels?: readonly string[]
}

export interface TrainerOptions {
  readonly backbone: Backbone
  readonly task: TaskKind | TrainerTask
  /** `false`: no adapters. @default size 64, gelu_tanh, in all layers */
  readonly adapter?: AdapterOptions | false
  readonly head?: {
    /** @default 'cls' */
    readonly pool?: Pool
    /** Standard deviation of the head's weights before they are cut at two of it. @default 0.02 */
    readonly initialStd?: number
  }
  /** @default ['adapters', 'layerNorm', 'head'] */
  readonly trainable?: Trainable
  readonly optimizer?: OptimizerOptions
  /** One probability for all places, or one for each; in [0, 1). @default 0 */
  readonly dropout?: number | Partial<DropoutRates>
  /** Whole number from 0; the same seed gives the same run on any number of threads. @default 0 */
  readonly seed?: number
  /** @default 'auto' */
  readonly device?: Device
  /** On the CPU all is float32; see `Precision`. @default 'auto' */
  readonly precision?: Precision
  /** @default all the system offers */
  readonly threads?: number | undefined
}

/** Options with every default filled in and every value checked. */
export interface ResolvedModel {
  readonly kind: TaskKind
  readonly outputs: number
  readonly adapter: Required<AdapterOptions> | false
  readonly pool: Pool
  readonly headStd: number
  readonly trainable: Trainable
  readonly optimizer: Optimizer
  readonly dropout: DropoutRates
  readonly seed: number
}

const known = [
  'backbone',
  'task',
  'adapter',
  'head',
  'trainable',
  'optimizer',
  'dropout',
  'seed',
  'device',
  'precision',
  'threads',
]

/** Checks everything that can be checked before any work. @throws {OptionError} ERR_OPTION */
export function resolveTrainerOptions(options: TrainerOptions): ResolvedModel {
  checkKeys('Trainer', options, known)
  const { task, head = {}, seed = 0, device = 'auto', precision = 'auto' } = options
  checkKeys('head', head, ['pool', 'initialStd'])
  checkDevice(device)
  checkPrecision(precision, device)
  const trainable = resolveTrainable(options.trainable)
  const adapter = resolveAdapter(options.adapter)
  refuseUntrained(options.adapter, trainable)
  return {
    ...resolveTask(task),
    // Without adapters to train there is nothing to insert: training all or the top layers is another method.
    adapter: trainsAdapters(trainable) ? adapter : false,
    trainable,
    pool: checkChoice('head.pool', head.pool ?? 'cls', pools),
    headStd: checkNumber('head.initialStd', head.initialStd ?? headStd, { least: 0 }),
    optimizer: resolveOptimizer(options.optimizer),
    dropout: resolveDropout(options.dropout),
    seed: checkNumber('seed', seed, { least: 0, integer: true }),
  }
}

function resolveTask(task: TaskKind | TrainerTask): { kind: TaskKind; outputs: number } {
  const given: TrainerTask = typeof task === 'string' ? { kind: task } : task
  if (typeof given !== 'object' || given === null)
    throw wrongOption('task', `one of ${taskKinds.join(', ')}, or { kind, outputs }`, task)
  checkKeys('task', given, ['kind', 'outputs', 'labels'])
  if (given.labels !== undefined) checkLabels(given.labels)
  const kind = checkChoice('task.kind', given.kind, taskKinds)
  const fixed = heads[kind].outputs
  const outputs = given.outputs ?? given.labels?.length ?? fixed
  if (fixed !== undefined && outputs !== fixed) throw wrongOption('task.outputs', `${fixed} for ${kind}`, outputs)
  if (given.labels && given.labels.length !== outputs) {
    throw wrongOption('task.outputs', `${given.labels.length}, the number of labels`, outputs)
  }
  return { kind, outputs: checkNumber('task.outputs', outputs, { least: 1, most: 1_000_000, integer: true }) }
}

function checkLabels(labels: readonly string[]): void {
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === 'string'))
    throw wrongOption('task.labels', 'a list of texts', labels)
  if (new Set(labels).size !== labels.length) throw wrongOption('task.labels', 'a list of different texts', labels)
}

function resolveAdapter(adapter: AdapterOptions | false = {}): Required<AdapterOptions> | false {
  if (adapter === false) return false
  if (typeof adapter !== 'object' || adapter === null) throw wrongOption('adapter', 'an object, or false', adapter)
  checkKeys('adapter', adapter, ['size', 'activation', 'initialStd', 'layers'])
  const { size = 64, activation = 'gelu_tanh', initialStd = 1e-2, layers = 'all' } = adapter
  if (layers !== 'all') {
    if (!Array.isArray(layers) || layers.length === 0)
      throw wrongOption('adapter.layers', '"all" or a list of layers', layers)
    for (const layer of layers as number[]) checkNumber('adapter.layers', layer, { least: 0, integer: true })
  }
  return {
    size: checkNumber('adapter.size', size, { least: 1, most: 65_536, integer: true }),
    activation: checkChoice('adapter.activation', activation, adapterActivations),
    initialStd: checkNumber('adapter.initialStd', initialStd, { least: 0 }),
    layers,
  }
}

/** True where adapters are among what is trained; what is no such option is for the checks to refuse. */
export function trainsAdapters(trainable: Trainable = trainableParts): boolean {
  return Array.isArray(trainable) && trainable.includes('adapters')
}

/** Options of adapters ask for some, and what is trained may leave them out. */
function refuseUntrained(adapter: AdapterOptions | false = {}, trainable: Trainable): void {
  if (trainsAdapters(trainable)) return
  const given = Object.entries(adapter).flatMap(([key, value]) => (value === undefined ? [] : [`adapter.${key}`]))
  if (given.length === 0) return
  const names = given.map((name) => `option "${name}"`).join(' and ')
  const [are, them] = given.length === 1 ? ['is', 'it'] : ['are', 'them']
  throw new OptionError(
    'ERR_OPTION',
    `option "trainable" is ${describeTrainable(trainable)}, which trains no adapters, but ${names} ${are} given: ` +
      `leave ${them} out, or add adapters to option "trainable"`,
    { option: given[0], got: trainable, expected: 'adapters among what is trained' },
  )
}

function describeTrainable(trainable: Trainable): string {
  if (typeof trainable === 'string') return show(trainable)
  return 'topLayers' in trainable ? `{ topLayers: ${trainable.topLayers} }` : trainable.join(', ')
}

function resolveTrainable(trainable: Trainable = trainableParts): Trainable {
  if (trainable === 'all') return trainable
  if (Array.isArray(trainable)) {
    if (trainable.length === 0)
      throw wrongOption('trainable', `at least one of ${trainableParts.join(', ')}`, trainable)
    return [...new Set((trainable as string[]).map((part) => checkChoice('trainable', part, trainableParts)))]
  }
  if (typeof trainable !== 'object' || trainable === null || !('topLayers' in trainable)) {
    throw wrongOption('trainable', `a list of ${trainableParts.join(', ')}, "all", or { topLayers }`, trainable)
  }
  checkKeys('trainable', trainable, ['topLayers'])
  return { topLayers: checkNumber('trainable.topLayers', trainable.topLayers, { least: 1, integer: true }) }
}

function resolveDropout(dropout: number | Partial<DropoutRates> = 0): DropoutRates {
  const range = { least: 0, below: 1 }
  if (typeof dropout !== 'object' || dropout === null) {
    const rate = checkNumber('dropout', dropout, range)
    return { hidden: rate, attention: rate, head: rate }
  }
  checkKeys('dropout', dropout, ['hidden', 'attention', 'head'])
  const { hidden = 0, attention = 0, head = 0 } = dropout
  return {
    hidden: checkNumber('dropout.hidden', hidden, range),
    attention: checkNumber('dropout.attention', attention, range),
    head: checkNumber('dropout.head', head, range),
  }
}

/** A trainer must train something: parts may name adapters that are switched off. */
export function refuseNothingTrained(count: number, model: ResolvedModel): void {
  if (count > 0) return
  throw new OptionError(
    'ERR_OPTION',
    'nothing would be trained: there are no adapters, and option "trainable" names nothing else',
    {
      option: 'trainable',
      got: model.trainable,
    },
  )
}
