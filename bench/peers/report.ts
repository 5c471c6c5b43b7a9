import { quantile } from '../../lib/bench/statistics.js'
import type { Machine } from '../../lib/bench/machine.js'
import { jobName, type Engine, type Job, type PeerWorkload } from './jobs.js'

/** One engine, model and workload over all rounds; rates are real (not padded) tokens a second, rounded. */
export interface PeerRates {
  readonly engine: Engine
  readonly model: string
  readonly workload: PeerWorkload
  /** How a padding engine makes its batches: `longest` row of the batch, or `bucketed` by length too. */
  readonly padding?: string
  readonly median: number
  readonly best: number
  readonly rounds: readonly number[]
}

export interface PeerMemory {
  readonly engine: Engine
  readonly model: string
  /** Peak of resident memory of a process that trains on the longest rows of MRPC, MiB. */
  readonly peakMiB: number
}

/** Ours over another engine's median, on the same workload. */
export interface PeerRatio {
  readonly workload: PeerWorkload
  readonly model: string
  /** `torch 64, bucketed` */
  readonly over: string
  readonly ratio: number
}

export interface PeersReport {
  readonly format: 1
  readonly kind: 'peers'
  readonly what: string
  readonly machine: Machine
  readonly threads: number
  readonly settings: Readonly<Record<string, string | number>>
  /** Of the Python packages. */
  readonly versions: Readonly<Record<string, string>>
  /** False where it was stopped before the last round. */
  readonly complete: boolean
  readonly rates: readonly PeerRates[]
  readonly ratios: readonly PeerRatio[]
  readonly memory: readonly PeerMemory[]
  /** Ours over theirs, of the same model: memory. */
  readonly memoryRatios: readonly { readonly model: string; readonly over: string; readonly ratio: number }[]
  /** Jobs that could not be measured, and why. */
  readonly failed: readonly { readonly job: string; readonly reason: string }[]
}

/** Collects what the jobs measure. */
export class PeerRecord {
  readonly #rates = new Map<string, { job: Job; padding: string | undefined; rounds: number[] }>()
  readonly #memory = new Map<string, PeerMemory>()
  readonly #failed = new Map<string, string>()

  rate(job: Job, tokensPerSecond: number, padding?: string): void {
    const key = `${jobName(job)} ${padding ?? ''}`
    const entry = this.#rates.get(key) ?? { job, padding, rounds: [] }
    entry.rounds.push(Math.round(tokensPerSecond))
    this.#rates.set(key, entry)
  }

  memory({ engine, model }: Job, peakMiB: number): void {
    this.#memory.set(`${engine} ${model}`, { engine, model, peakMiB: Math.round(peakMiB) })
  }

  failed(job: Job, reason: string): void {
    this.#failed.set(jobName(job), reason)
  }

  rates(): PeerRates[] {
    return [...this.#rates.values()].map(({ job: { engine, model, workload }, padding, rounds }) => ({
      engine,
      model,
      workload,
      ...(padding === undefined ? {} : { padding }),
      median: Math.round(quantile(rounds, 0.5)),
      best: Math.max(...rounds),
      rounds,
    }))
  }

  results(): Pick<PeersReport, 'rates' | 'ratios' | 'memory' | 'memoryRatios' | 'failed'> {
    const rates = this.rates()
    const memory = [...this.#memory.values()]
    const failed = [...this.#failed].map(([job, reason]) => ({ job, reason }))
    return { rates, ratios: ratiosOf(rates), memory, memoryRatios: memoryRatiosOf(memory), failed }
  }
}

/** Libraries are held against our model of their size; LoRA, which has none, against size 64. */
function ourModel({ engine, model }: { engine: Engine; model: string }): string {
  return engine === 'peft-lora' ? '64' : model
}

function ratiosOf(rates: readonly PeerRates[]): PeerRatio[] {
  return rates.flatMap((theirs): PeerRatio[] => {
    if (theirs.engine === 'onnx-adapters') return []
    const model = ourModel(theirs)
    const ours = rates.find(
      (each) => each.engine === 'onnx-adapters' && each.workload === theirs.workload && each.model === model,
    )
    if (!ours) return []
    const over = [`${theirs.engine} ${theirs.model}`, theirs.padding].filter(Boolean).join(', ')
    return [{ workload: theirs.workload, model, over, ratio: hundredths(ours.median / theirs.median) }]
  })
}

function memoryRatiosOf(memory: readonly PeerMemory[]): PeersReport['memoryRatios'] {
  return memory.flatMap((theirs) => {
    const model = ourModel(theirs)
    const ours = memory.find((each) => each.engine === 'onnx-adapters' && each.model === model)
    if (!ours || theirs.engine === 'onnx-adapters') return []
    return [{ model, over: `${theirs.engine} ${theirs.model}`, ratio: hundredths(ours.peakMiB / theirs.peakMiB) }]
  })
}

function hundredths(value: number): number {
  return Math.round(100 * value) / 100
}
