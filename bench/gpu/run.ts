import { describeMachine } from '../../lib/bench/machine.js'
import { quantile } from '../../lib/bench/statistics.js'
import { subjectModel } from '../../lib/bench/subject.js'
import type { Backbone } from '../../lib/index.js'
import { resolveDevice, type Device } from '../../lib/runtime/device.js'
import type { Precision } from '../../lib/runtime/precision.js'
import { gpuJobName, gpuJobs, type GpuJob, type GpuMatrix } from './job.js'
import { describeGpu, watchGpu, type Gpu, type GpuMoment } from './machine.js'
import { makeModel, type GpuShape } from './model.js'
import { measureAnatomy, measureSteps, workloadOf, type OursOptions, type ProductRates } from './ours.js'
import { measurePeers, type PeerOptions } from './peer.js'
import { GpuRecord, type GpuReport } from './report.js'

export interface GpuBenchOptions extends GpuMatrix {
  readonly device: Device
  /** As train() takes it; a name that it does not know is refused. */
  readonly precision: string
  readonly threads: number
  readonly milliseconds: number
  readonly batches: number
  /** Turns that every configuration and every other engine takes. */
  readonly turns: number
  /** Where models are made; they may be there already. */
  readonly folder: string
  readonly seed: number
  readonly peers: PeerOptions | undefined
  readonly versions: Readonly<Record<string, string>> | undefined
  /** What is left out from the start, and why. */
  readonly skipped: readonly string[]
  readonly quick: boolean
  readonly signal: AbortSignal
  readonly log: (line: string) => void
  /** After every measurement, and at the end. */
  readonly save: (report: GpuReport) => Promise<void>
}

/**
 * Ours and PyTorch in turns: every turn trains each configuration by each engine, so that a GPU that gets hot or slow
 * slows all. What fails is noted, and the rest goes on.
 * @throws {DeviceError} ERR_DEVICE where the device cannot be used
 */
export async function runGpuBench(options: GpuBenchOptions): Promise<GpuReport> {
  const run = await GpuBench.create(options)
  for (const shape of options.shapes) await run.measureShape(shape)
  const report = run.report(!options.signal.aborted)
  await options.save(report)
  return report
}

class GpuBench {
  readonly #options: GpuBenchOptions
  readonly #record = new GpuRecord()
  readonly #rates: ProductRates = new Map()
  readonly #workloads: Record<string, string> = {}
  readonly #shapes: Record<string, number> = {}
  readonly #gpu: Gpu | undefined
  readonly #moments: { idle?: GpuMoment; busy?: GpuMoment }

  private constructor(options: GpuBenchOptions, gpu: Gpu | undefined, idle: GpuMoment | undefined) {
    this.#options = options
    this.#gpu = gpu
    this.#moments = idle ? { idle } : {}
  }

  static async create(options: GpuBenchOptions): Promise<GpuBench> {
    const { kind, isa } = resolveDevice(options.device)
    if (kind === 'cpu') return new GpuBench(options, undefined, undefined)
    const index = Number(isa.slice('cuda:'.length))
    return new GpuBench(options, await describeGpu(index), await watchGpu(index))
  }

  /** All of one shape: its weights are freed before those of the next come. */
  async measureShape(shape: GpuShape): Promise<void> {
    const { signal, folder, seed, log, turns } = this.#options
    if (signal.aborted) return
    log(`${shape}: making and loading the model`)
    const backbone = await makeModel(shape, folder, seed)
    this.#shapes[shape] = backbone.config.parameters
    const jobs = gpuJobs({ ...this.#options, shapes: [shape] })
    for (let turn = 0; turn < turns; turn++) {
      for (const job of jobs) {
        await this.#attempt(job, async () => {
          await this.#measureOurs(backbone, job, turn)
          await this.#measureOthers(backbone, job)
        })
      }
    }
  }

  async #measureOurs(backbone: Backbone, job: GpuJob, turn: number): Promise<void> {
    const options: OursOptions = this.#options
    const steps = await measureSteps(backbone, job, options)
    this.#record.steps(job, steps)
    const median = quantile(
      steps.map(({ milliseconds }) => milliseconds),
      0.5,
    )
    this.#options.log(`${gpuJobName(job)}: ${median.toFixed(2)} ms a step (${steps.length} steps)`)
    if (turn > 0) return
    const [anatomy] = await Promise.all([measureAnatomy(backbone, job, options, this.#rates), this.#watchOnce()])
    this.#record.anatomy(job, anatomy)
    this.#workloads[job.workload] ??= workloadOf(job, backbone, 1).description
  }

  async #measureOthers(backbone: Backbone, job: GpuJob): Promise<void> {
    const { peers, batches, log } = this.#options
    if (!peers) return
    const failed = (what: string, reason: string) => {
      log(`${what}: failed: ${reason}`)
      this.#record.failed(what, reason)
    }
    for (const line of await measurePeers(job, workloadOf(job, backbone, batches), peers, failed)) {
      this.#record.peer(job, line)
      log(`${gpuJobName(job)}, torch ${line.how} ${line.padding ?? ''}: ${line.milliseconds.toFixed(2)} ms a step`)
    }
  }

  /** Clocks under load, seen once. */
  async #watchOnce(): Promise<void> {
    if (!this.#gpu || this.#moments.busy) return
    this.#moments.busy = await watchGpu(Number(resolveDevice(this.#options.device).isa.slice('cuda:'.length)))
  }

  async #attempt(job: GpuJob, measure: () => Promise<void>): Promise<void> {
    const { signal, log, save } = this.#options
    if (signal.aborted) return
    try {
      await measure()
    } catch (error) {
      if (signal.aborted) return
      const { code = '', message } = error as Error & { code?: string }
      // Memory that one configuration lacks is none of another's business; a device that is lost is.
      if (code === 'ERR_DEVICE' || code === 'ERR_OPTION') throw error
      log(`${gpuJobName(job)}: failed: ${message}`)
      this.#record.failed(gpuJobName(job), message)
    }
    await save(this.report(false))
  }

  report(complete: boolean): GpuReport {
    const { device, precision, turns, milliseconds, batches, threads, seed, quick, versions, skipped } = this.#options
    return {
      format: 1,
      kind: 'gpu',
      what: 'training steps on random tokens and random weights: forward, backward, clipping, AdamW; real (not padded) tokens',
      machine: describeMachine(device),
      ...(this.#gpu ? { gpu: this.#gpu } : {}),
      moments: this.#moments,
      precision: resolveDevice(device, precision as Precision).precision,
      settings: { turns, milliseconds, batches, threads, seed, quick, dropout: subjectModel.dropout, pool: 'cls' },
      ...(versions ? { versions } : {}),
      workloads: this.#workloads,
      shapes: this.#shapes,
      complete,
      ...this.#record.results(),
      skipped,
    }
  }
}
