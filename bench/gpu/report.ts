import { summariseSteps, type Rates } from '../../lib/bench/rates.js'
import { quantile, significant } from '../../lib/bench/statistics.js'
import type { Machine } from '../../lib/bench/machine.js'
import type { StepTimes } from '../../lib/bench/subject.js'
import { gpuJobName, type GpuJob } from './job.js'
import type { Gpu, GpuMoment } from './machine.js'
import type { Anatomy } from './ours.js'
import type { PeerLine } from './peer.js'

/** One configuration, over all turns. */
export interface GpuResult extends GpuJob, Anatomy {
  readonly steps: number
  /** Means of real tokens, a step. */
  readonly tokensPerStep: number
  readonly tokensPerSecond: Rates['tokensPerSecond']
  readonly rowsPerSecond: Rates['rowsPerSecond']
  /** Of a step, as its caller sees it: packing the rows, copying, the step, the loss. */
  readonly milliseconds: Rates['milliseconds']
  /** Median of every turn. */
  readonly turns: readonly number[]
  readonly flopsPerSecond: number
  /** Of the rate of the library's own products of these shapes, 0 to 1: `flopsPerSecond` over `productFlopsPerSecond`. */
  readonly shareOfProducts: number
}

/** One way of PyTorch, over all turns. */
export interface GpuPeerResult extends GpuJob, Omit<PeerLine, 'tokensPerSecond' | 'milliseconds'> {
  /** Medians over the turns. */
  readonly tokensPerSecond: number
  readonly milliseconds: number
  readonly turns: readonly number[]
}

/** Ours over PyTorch's, in tokens a second, on the same configuration. */
export interface GpuRatio extends GpuJob {
  /** `torch eager, longest` */
  readonly over: string
  readonly ratio: number
}

export interface GpuReport {
  readonly format: 1
  readonly kind: 'gpu'
  readonly what: string
  readonly machine: Machine
  /** Absent where the run was on a CPU. */
  readonly gpu?: Gpu
  /** Before the first turn, and in the middle of steps. */
  readonly moments: { readonly idle?: GpuMoment; readonly busy?: GpuMoment }
  readonly precision: string
  readonly settings: Readonly<Record<string, string | number | boolean>>
  readonly versions?: Readonly<Record<string, string>>
  /** Length of rows by workload, in words. */
  readonly workloads: Readonly<Record<string, string>>
  /** Parameters of each shape. */
  readonly shapes: Readonly<Record<string, number>>
  /** False where it was stopped. */
  readonly complete: boolean
  readonly results: readonly GpuResult[]
  readonly peers: readonly GpuPeerResult[]
  readonly ratios: readonly GpuRatio[]
  /** What was not measured, and why. */
  readonly skipped: readonly string[]
  readonly failed: readonly { readonly job: string; readonly reason: string }[]
}

/** Collects what turns measure. */
export class GpuRecord {
  readonly #ours = new Map<string, { job: GpuJob; turns: StepTimes[][]; anatomy?: Anatomy }>()
  readonly #peers = new Map<string, { job: GpuJob; lines: PeerLine[] }>()
  readonly #failed = new Map<string, string>()

  steps(job: GpuJob, steps: StepTimes[]): void {
    const entry = this.#ours.get(gpuJobName(job)) ?? { job, turns: [] }
    entry.turns.push(steps)
    this.#ours.set(gpuJobName(job), entry)
  }

  anatomy(job: GpuJob, anatomy: Anatomy): void {
    const entry = this.#ours.get(gpuJobName(job)) ?? { job, turns: [] }
    this.#ours.set(gpuJobName(job), { ...entry, anatomy })
  }

  peer(job: GpuJob, line: PeerLine): void {
    const key = `${gpuJobName(job)}, ${peerName(line)}`
    const entry = this.#peers.get(key) ?? { job, lines: [] }
    entry.lines.push(line)
    this.#peers.set(key, entry)
  }

  failed(what: string, reason: string): void {
    this.#failed.set(what, reason)
  }

  results(): Pick<GpuReport, 'results' | 'peers' | 'ratios' | 'failed'> {
    const results = [...this.#ours.values()].flatMap(({ job, turns, anatomy }) =>
      anatomy && turns.length > 0 ? [describeOurs(job, turns, anatomy)] : [],
    )
    const peers = [...this.#peers.values()].map(({ job, lines }) => describePeer(job, lines))
    const failed = [...this.#failed].map(([job, reason]) => ({ job, reason }))
    return { results, peers, ratios: ratiosOf(results, peers), failed }
  }
}

function describeOurs(job: GpuJob, turns: readonly StepTimes[][], anatomy: Anatomy): GpuResult {
  const steps = turns.flat()
  const { tokensPerSecond, rowsPerSecond, milliseconds, flopsPerSecond } = summariseSteps(steps, 1)
  return {
    ...job,
    steps: steps.length,
    tokensPerStep: Math.round(steps.reduce((sum, { tokens }) => sum + tokens, 0) / steps.length),
    tokensPerSecond,
    rowsPerSecond,
    milliseconds,
    turns: turns.map((turn) =>
      significant(
        quantile(
          turn.map((step) => step.milliseconds),
          0.5,
        ),
      ),
    ),
    flopsPerSecond,
    shareOfProducts: significant(flopsPerSecond / anatomy.productFlopsPerSecond, 3),
    ...anatomy,
  }
}

function describePeer(job: GpuJob, lines: readonly PeerLine[]): GpuPeerResult {
  const median = (values: readonly number[]) => significant(quantile(values, 0.5))
  const turns = lines.map(({ milliseconds }) => significant(milliseconds))
  return {
    ...job,
    ...lines[0]!,
    paddedShare: significant(lines[0]!.paddedShare, 3),
    tokensPerSecond: median(lines.map(({ tokensPerSecond }) => tokensPerSecond)),
    milliseconds: median(turns),
    turns,
  }
}

function peerName({ how, padding }: Pick<PeerLine, 'how' | 'padding'>): string {
  return [`torch ${how}`, padding].filter(Boolean).join(', ')
}

function ratiosOf(results: readonly GpuResult[], peers: readonly GpuPeerResult[]): GpuRatio[] {
  return peers.flatMap((theirs): GpuRatio[] => {
    const { shape, workload, rows, model } = theirs
    const job = { shape, workload, rows, model }
    const ours = results.find((each) => gpuJobName(each) === gpuJobName(job))
    if (!ours) return []
    const ratio = significant(ours.tokensPerSecond.median / theirs.tokensPerSecond, 3)
    return [{ ...job, over: peerName(theirs), ratio }]
  })
}
