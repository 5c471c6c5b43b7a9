import { summariseSteps, type Rates } from '../../lib/bench/rates.js'
import { significant, sum } from '../../lib/bench/statistics.js'
import { Subject, type BytesByKind, type StepTimes } from '../../lib/bench/subject.js'
import { makeVariants } from '../../lib/bench/variant.js'
import { makeWorkload, type Workload } from '../../lib/bench/workload.js'
import type { Backbone } from '../../lib/index.js'
import type { Device } from '../../lib/runtime/device.js'
import type { NativeMemory, ProductShape } from '../../lib/runtime/native-types.js'
import type { TrainerOptions } from '../../lib/train/trainer_options.js'
import type { GpuJob } from './job.js'
import { jointRate, productsOf, type CountedProduct } from './products.js'

export interface OursOptions {
  readonly device: Device
  readonly threads: number
  readonly precision: string
  /** Of steps, a turn. */
  readonly milliseconds: number
  /** Batches of a workload before the first comes again. */
  readonly batches: number
  readonly signal: AbortSignal
}

/** What one look at a configuration shows besides its speed. */
export interface Anatomy {
  readonly trainedParameters: number
  /** Planned, for the largest batch. */
  readonly bytes: BytesByKind
  /** What the session holds on the device, bytes; the frozen weights, which it shares, are not among it. */
  readonly held: Omit<NativeMemory, 'frozen'>
  /** Where a step goes whose ops are started and timed one by one. */
  readonly split: Rates['split']
  readonly products: readonly (CountedProduct & { readonly flopsPerSecond: number })[]
  /** Of those products together, at their own rates. */
  readonly productFlopsPerSecond: number
}

export function workloadOf(job: GpuJob, { config }: Backbone, batches: number): Workload {
  const { positions, vocabulary } = config
  return makeWorkload(job.workload, { batchSize: job.rows, positions, vocabulary, batches })
}

/** Steps as train() runs them, after every batch was seen once. */
export async function measureSteps(backbone: Backbone, job: GpuJob, options: OursOptions): Promise<StepTimes[]> {
  const subject = await open(backbone, job, options, false)
  try {
    await subject.warmUp('step', options.signal)
    return await subject.run('step', options.milliseconds, options.signal)
  } finally {
    await subject.dispose()
  }
}

/** The rates of products that were measured in this run, by shape. */
export type ProductRates = Map<string, number>

export async function measureAnatomy(
  backbone: Backbone,
  job: GpuJob,
  options: OursOptions,
  known: ProductRates,
): Promise<Anatomy> {
  const subject = await open(backbone, job, options, true)
  try {
    const steps = await subject.run('step', options.milliseconds / 2, options.signal)
    const tokens = Math.round(sum(steps.map((step) => step.tokens)) / steps.length)
    const products = productsOf(subject.nodes('step'), tokens, job.rows)
    const rates: number[] = []
    for (const product of products) {
      options.signal.throwIfAborted()
      rates.push(await rateOf(subject, product, known))
    }
    const { frozen: _, ...held } = subject.memory()
    return {
      trainedParameters: subject.trainedParameters,
      bytes: subject.bytes(),
      held,
      split: summariseSteps(steps, 1).split,
      products: products.map((product, i) => ({ ...product, flopsPerSecond: significant(rates[i]!) })),
      productFlopsPerSecond: significant(jointRate(products, rates)),
    }
  } finally {
    await subject.dispose()
  }
}

const productMilliseconds = 20

async function rateOf(subject: Subject, { count: _, ...shape }: CountedProduct, known: ProductRates): Promise<number> {
  const key = JSON.stringify(shape satisfies ProductShape)
  const rate = known.get(key) ?? (await subject.measureProduct(shape, productMilliseconds))
  known.set(key, rate)
  return rate
}

function open(backbone: Backbone, job: GpuJob, options: OursOptions, timing: boolean): Promise<Subject> {
  const { device, threads, precision, batches } = options
  const [variant] = makeVariants([/^\d+$/.test(job.model) ? 'adapters' : job.model], [Number(job.model)])
  return Subject.create(backbone, variant!, workloadOf(job, backbone, batches), {
    device,
    threads,
    pool: 'cls',
    timing,
    precision: precision as TrainerOptions['precision'],
  })
}
