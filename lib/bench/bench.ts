import { isBackbone, type Backbone } from '../backbone/backbone.js'
import { loadBackbone } from '../backbone/load.js'
import { checkChoice, checkKeys, checkNumber, wrongOption } from '../options.js'
import { devices, resolveDevice, resolveThreads, type Device } from '../runtime/device.js'
import { shapes, type ShapeName } from './encoder.js'
import { describeMachine, type Machine } from './machine.js'
import { summariseSteps, type Rates } from './rates.js'
import { significant } from './statistics.js'
import { Subject, subjectModel, type BytesByKind, type StepTimes } from './subject.js'
import { syntheticBackbone } from './synthetic.js'
import { defaultModes, defaultSizes, makeVariants, type Variant } from './variant.js'
import { defaultWorkloads, makeWorkload, workloadNames, type Workload, type WorkloadName } from './workload.js'

/** Options of `bench()`. */
export interface BenchOptions {
  /** A folder, an .onnx file, a name as `fetch` takes, or a loaded backbone. @default random weights of `shape` */
  readonly backbone?: string | Backbone
  /** @default 'minilm' */
  readonly shape?: ShapeName
  /** Bottleneck widths M of the adapters. @default [1, 8, 64, 256] */
  readonly sizes?: readonly number[]
  /** `adapters`, `full`, `top-K`, `layernorm`, `head`. @default ['adapters', 'full', 'top-1', 'layernorm', 'head'] */
  readonly modes?: readonly string[]
  /** @default ['equal', 'sst2', 'mrpc'] */
  readonly workloads?: readonly WorkloadName[]
  /** Rows a step. @default 32 */
  readonly batchSize?: number
  /** Of training, and of inference, for each variant and workload, over all rounds. @default 3 */
  readonly seconds?: number
  /** Turns that the variants take, so that a busy minute slows all of them. @default 3 */
  readonly rounds?: number
  /** @default 'auto' */
  readonly device?: Device
  /** @default all the system offers */
  readonly threads?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (event: BenchProgress) => void
}

/** One variant was measured on one workload, once more. */
export interface BenchProgress {
  readonly done: number
  readonly total: number
  readonly variant: string
  readonly workload: string
  /** Real tokens a second of this turn. */
  readonly tokensPerSecond: number
}

/** The document that `bench` writes. */
export interface BenchReport {
  readonly format: 1
  readonly kind: 'throughput'
  readonly machine: Machine
  readonly threads: number
  readonly backbone: {
    readonly name: string
    readonly layers: number
    readonly hidden: number
    readonly heads: number
    readonly feedForward: number
    readonly parameters: number
  }
  readonly settings: {
    readonly batchSize: number
    readonly dropout: number
    readonly pool: string
    readonly seconds: number
    readonly rounds: number
  }
  readonly roof: { readonly flopsPerSecond: number; readonly definition: string }
  readonly workloads: Readonly<Record<string, string>>
  readonly results: readonly BenchResult[]
}

export interface BenchResult {
  /** `adapters 64`, `full`, `top-1`, `layernorm`, `head`. */
  readonly variant: string
  /** Bottleneck width M; absent without adapters. */
  readonly size?: number
  readonly workload: WorkloadName
  /** Scalars that are trained, the head's included. */
  readonly trainedParameters: number
  readonly bytes: BytesByKind
  readonly training: Rates
  readonly inference: Rates
}

const roofDefinition =
  'the best rate of fused multiply-adds in registers that all threads reach together in windows of about 1 ms spread ' +
  'over this run, with the instruction set of the kernels; a multiply-add counts as two operations'

/**
 * Measures training and inference per adapter size, and other ways to adapt the same encoder, in turns.
 *
 * @throws {OptionError} ERR_OPTION before any work; OnnxImportError ERR_ONNX_*; {DeviceError} ERR_ADDON, ERR_DEVICE,
 * ERR_MEMORY; the signal's reason, after the step under way
 */
export async function bench(options: BenchOptions = {}): Promise<BenchReport> {
  const settings = resolveBenchOptions(options)
  const { variants, rounds, seconds, batchSize, threads, device } = settings
  const backbone = await openBackbone(options, settings.shape)
  const { layers, hidden, heads, feedForward, positions, vocabulary, parameters } = backbone.config
  const workloads = settings.workloads.map((name) => makeWorkload(name, { batchSize, positions, vocabulary }))
  const turns = Array.from({ length: rounds }, () =>
    workloads.flatMap((workload) => variants.map((variant) => ({ workload, variant }))),
  ).flat()
  const series = new Map<string, Series>()
  let roof = 0
  for (const [i, { workload, variant }] of turns.entries()) {
    const key = `${workload.name} ${variant.name}`
    const kept = series.get(key) ?? { workload, variant, training: [], inference: [] }
    series.set(key, kept)
    const turn = await measureTurn(backbone, kept, { device, threads }, (1000 * seconds) / rounds, options.signal)
    roof = Math.max(roof, turn.roof)
    options.onProgress?.({
      done: i + 1,
      total: turns.length,
      variant: variant.name,
      workload: workload.name,
      tokensPerSecond: turn.tokensPerSecond,
    })
  }
  return {
    format: 1,
    kind: 'throughput',
    machine: describeMachine(device),
    threads,
    backbone: { name: backbone.name, layers, hidden, heads, feedForward, parameters },
    settings: { batchSize, ...subjectModel, seconds, rounds },
    roof: { flopsPerSecond: significant(roof), definition: roofDefinition },
    workloads: Object.fromEntries(workloads.map(({ name, description }) => [name, description])),
    results: [...series.values()].map((each) => describeSeries(each, roof)),
  }
}

/** All that was measured of one variant on one workload. */
interface Series {
  readonly workload: Workload
  readonly variant: Variant
  readonly training: StepTimes[]
  readonly inference: StepTimes[]
  bytes?: BytesByKind
  trainedParameters?: number
}

async function measureTurn(
  backbone: Backbone,
  series: Series,
  options: { device: Device; threads: number },
  milliseconds: number,
  signal: AbortSignal | undefined,
): Promise<{ roof: number; tokensPerSecond: number }> {
  signal?.throwIfAborted()
  const subject = await Subject.create(backbone, series.variant, series.workload, options)
  try {
    const roof = await subject.measureRoof(roofMilliseconds)
    const steps = await subject.run('step', milliseconds, signal)
    series.training.push(...steps)
    series.inference.push(...(await subject.run('forward', milliseconds, signal)))
    series.bytes ??= subject.bytes()
    series.trainedParameters ??= subject.trainedParameters
    return { roof, tokensPerSecond: summariseSteps(steps, roof).tokensPerSecond.median }
  } finally {
    await subject.dispose()
  }
}

/** Of each turn. */
const roofMilliseconds = 50

function describeSeries(series: Series, roof: number): BenchResult {
  const { variant, workload, training, inference } = series
  return {
    variant: variant.name,
    ...(variant.size === undefined ? {} : { size: variant.size }),
    workload: workload.name,
    trainedParameters: series.trainedParameters!,
    bytes: series.bytes!,
    training: summariseSteps(training, roof),
    inference: summariseSteps(inference, roof),
  }
}

async function openBackbone({ backbone }: BenchOptions, shape: ShapeName): Promise<Backbone> {
  if (isBackbone(backbone)) return backbone
  return backbone === undefined ? syntheticBackbone(shape) : loadBackbone(backbone, { verify: false })
}

const known: readonly (keyof BenchOptions)[] = [
  'backbone',
  'shape',
  'sizes',
  'modes',
  'workloads',
  'batchSize',
  'seconds',
  'rounds',
  'device',
  'threads',
  'signal',
  'onProgress',
]

/** @throws {OptionError} ERR_OPTION */
export function resolveBenchOptions(options: BenchOptions) {
  checkKeys('bench', options, known)
  const {
    backbone,
    shape = 'minilm',
    workloads = defaultWorkloads,
    sizes = defaultSizes,
    modes = defaultModes,
  } = options
  const names = typeof backbone === 'string' ? backbone !== '' : isBackbone(backbone)
  if (backbone !== undefined && !names)
    throw wrongOption('backbone', 'a folder, an .onnx file, a name or a loaded backbone', backbone)
  if (!Array.isArray(workloads) || workloads.length === 0)
    throw wrongOption('workloads', `at least one of ${workloadNames.join(', ')}`, workloads)
  const device = checkChoice('device', options.device ?? 'auto', devices)
  resolveDevice(device)
  return {
    shape: checkChoice('shape', shape, Object.keys(shapes) as ShapeName[]),
    variants: makeVariants(modes, sizes),
    workloads: [...new Set((workloads as WorkloadName[]).map((name) => checkChoice('workloads', name, workloadNames)))],
    batchSize: checkNumber('batchSize', options.batchSize ?? 32, { least: 1, most: 4096, integer: true }),
    seconds: checkNumber('seconds', options.seconds ?? 3, { above: 0 }),
    rounds: checkNumber('rounds', options.rounds ?? 3, { least: 1, integer: true }),
    threads: resolveThreads(options.threads),
    device,
  }
}
