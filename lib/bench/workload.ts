import { philox } from '../adapters/philox.js'
import { OptionError } from '../errors.js'
import type { LabelledRows } from '../train/trainer.js'
import { lengthCounts } from './lengths.js'

export const workloadNames = ['equal', 'sst2', 'mrpc', 'squad'] as const
export type WorkloadName = (typeof workloadNames)[number]
/** SQuAD's rows are seven times as long as MRPC's: they are measured where they are asked for. */
export const defaultWorkloads: readonly WorkloadName[] = ['equal', 'sst2', 'mrpc']

/** Batches of random tokens whose lengths are those of a real data set, or all equal. */
export interface Workload {
  readonly name: WorkloadName
  readonly description: string
  readonly batches: readonly LabelledRows[]
}

export interface WorkloadOptions {
  /** Rows of a batch. */
  readonly batchSize: number
  /** Longest row of the model, tokens; lengths are cut there. */
  readonly positions: number
  readonly vocabulary: number
  /** How many batches are gone through before the first comes again. @default 32 */
  readonly batches?: number
}

const equalLength = 128
/** Enough for their mean length to be that of the data, and few enough to be gone through in a measurement. */
const batchCount = 32

/** The same batches for the same options, on every machine. */
export function makeWorkload(name: WorkloadName, options: WorkloadOptions): Workload {
  const { batchSize, positions, vocabulary, batches = batchCount } = options
  const random = numbers(workloadNames.indexOf(name))
  const pick = name === 'equal' ? () => equalLength : lengthSampler(lengthCounts[name])
  const lowest = Math.min(1000, vocabulary >> 1)
  const row = () => {
    const length = Math.min(positions, pick(random()))
    return Array.from({ length }, () => lowest + Math.floor(random() * (vocabulary - lowest)))
  }
  const batch = (): LabelledRows => ({
    inputIds: Array.from({ length: batchSize }, row),
    labels: Array.from({ length: batchSize }, (_, i) => i % 2),
  })
  return { name, description: describe(name), batches: Array.from({ length: batches }, batch) }
}

function describe(name: WorkloadName): string {
  switch (name) {
    case 'equal':
      return `rows of ${equalLength} tokens`
    case 'sst2':
      return 'lengths of SST-2 (13.3 tokens a row)'
    case 'mrpc':
      return 'lengths of MRPC (53.2 tokens a row)'
    case 'squad':
      return 'lengths of SQuAD, cut into windows of 384 (178.5 tokens a row)'
    default:
      return name satisfies never
  }
}

/**
 * Lengths with the frequencies of a histogram, from uniform numbers in [0, 1).
 * @param counts element n counts the rows of n tokens
 * @throws {OptionError} ERR_OPTION where it counts no row
 */
export function lengthSampler(counts: readonly number[]): (uniform: number) => number {
  const ends: number[] = []
  let total = 0
  for (const count of counts) ends.push((total += count))
  if (total === 0) throw new OptionError('ERR_OPTION', 'the histogram of lengths counts no row', { option: 'counts' })
  return (uniform) => ends.findIndex((end) => uniform * total < end)
}

/** Uniform numbers in [0, 1) that depend on the stream alone. */
function numbers(stream: number): () => number {
  let index = 0
  return () => philox([index++, stream, 0, 0], [0x6265_6e63, 0])[0] / 2 ** 32
}
