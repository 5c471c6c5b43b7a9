import { seedWords } from '../adapters/init.js'
import type { Backbone } from '../backbone/backbone.js'
import type { Pool } from '../heads/define.js'
import type { Node } from '../ir/graph.js'
import { planReport } from '../plan/report.js'
import type { Entry } from '../plan/schedule.js'
import { resolveDevice, resolveThreads, type Device } from '../runtime/device.js'
import type { NativeMemory, ProductShape } from '../runtime/native-types.js'
import { Session } from '../runtime/session.js'
import { encoderLimits, packRows } from '../train/batch.js'
import { compileModel } from '../train/compile.js'
import { packLabels } from '../train/labels.js'
import type { LabelledRows } from '../train/trainer.js'
import { resolveTrainerOptions, type TrainerOptions } from '../train/trainer_options.js'
import { countFlops } from './flops.js'
import { nodePhases, splitStep, type Split } from './phases.js'
import { sum } from './statistics.js'
import type { Variant } from './variant.js'
import type { Workload } from './workload.js'

/** One step as it was measured. */
export interface StepTimes {
  readonly tokens: number
  readonly rows: number
  /** From the rows to the result, as a caller sees it. */
  readonly milliseconds: number
  readonly flops: number
  /** All of it is `other` where the ops are not timed. */
  readonly split: Split
}

/** Planned memory by kind, in bytes, for the largest batch of the workload. */
export interface BytesByKind {
  /** Frozen weights as the forward pass reads them. */
  readonly frozen: number
  /** The same weights once more, as the backward pass reads them: only those it reaches. */
  readonly packedTransposes: number
  readonly trained: number
  readonly gradients: number
  readonly moments: number
  readonly activations: number
  readonly scratch: number
}

export interface SubjectOptions {
  readonly device: Device
  readonly threads: number | undefined
  /** @default that of `subjectModel` */
  readonly pool?: Pool
  /** Times every op. On a GPU the ops of a step are then started one by one, instead of all at once. @default true */
  readonly timing?: boolean
  /** As train() takes it. @default 'auto' */
  readonly precision?: TrainerOptions['precision']
}

/** The `step` and the `forward` of a trainer. */
export type EntryName = 'step' | 'forward'

/** What every variant has in common; the report says it. */
export const subjectModel = { dropout: 0.1, pool: 'mean' } as const

/**
 * A model that is measured: what a Trainer runs, on a session that can time every op. Its head has two
 * classes.
 */
export class Subject {
  readonly trainedParameters: number
  readonly #session: Session
  readonly #batches: readonly LabelledRows[]
  readonly #backbone: Backbone
  #step = 0

  private constructor(session: Session, backbone: Backbone, batches: readonly LabelledRows[], trained: number) {
    this.#session = session
    this.#backbone = backbone
    this.#batches = batches
    this.trainedParameters = trained
  }

  static async create(
    backbone: Backbone,
    variant: Variant,
    workload: Workload,
    { device, threads, pool = subjectModel.pool, timing = true, precision = 'auto' }: SubjectOptions,
  ): Promise<Subject> {
    const model = resolveTrainerOptions({
      ...variant.options,
      backbone,
      task: { kind: 'classification', outputs },
      head: { pool },
      dropout: subjectModel.dropout,
      precision,
    })
    const { entries, layout, initial } = compileModel(backbone.imported, model)
    const sizes = workload.batches.map(({ inputIds }) => sum(inputIds.map((row) => row.length)))
    const session = await Session.create({
      entries: entries.filter(({ name }) => name === 'step' || name === 'forward'),
      layout,
      weights: backbone.weights(resolveDevice(device, precision).target),
      seed: seedWords(0),
      threads: resolveThreads(threads),
      capacity: { tokens: Math.max(...sizes), sequences: workload.batches[0]!.inputIds.length },
      timing,
    })
    await session.write({ parameters: initial })
    return new Subject(session, backbone, workload.batches, sum(layout.trained.map(({ length }) => length)))
  }

  /** Floating-point operations a second that the threads of this session can do. */
  measureRoof(milliseconds: number): Promise<number> {
    return this.#session.measureRoof(milliseconds)
  }

  /** Of products of one shape, in the precision of the steps. */
  measureProduct(product: ProductShape, milliseconds: number): Promise<number> {
    return this.#session.measureProduct(product, milliseconds)
  }

  /** What a step runs. */
  nodes(name: EntryName): readonly Node[] {
    return this.#entry(name).nodes
  }

  /** Bytes that the device holds for it. */
  memory(): NativeMemory {
    return this.#session.memory()
  }

  bytes(): BytesByKind {
    const { bytes } = planReport(this.#session.plan)
    return {
      frozen: bytes.weightsForward + bytes.weightsRaw,
      packedTransposes: bytes.weightsBackward,
      trained: bytes.parameters,
      gradients: bytes.gradients,
      moments: bytes.moments,
      activations: bytes.activations,
      scratch: this.#session.memory().scratch,
    }
  }

  /** Goes through the batches from the first one, for some time and at least one step. One step before is not counted. */
  async run(entry: EntryName, milliseconds: number, signal?: AbortSignal): Promise<StepTimes[]> {
    await this.#runOnce(entry, 0)
    const started = performance.now()
    const steps: StepTimes[] = []
    do {
      signal?.throwIfAborted()
      steps.push(await this.#runOnce(entry, steps.length))
    } while (performance.now() - started < milliseconds)
    return steps
  }

  /** Goes through all batches once: what is made once for a shape is there afterwards. */
  async warmUp(entry: EntryName, signal?: AbortSignal): Promise<void> {
    for (let i = 0; i < this.#batches.length; i++) {
      signal?.throwIfAborted()
      await this.#runOnce(entry, i)
    }
  }

  dispose(): Promise<void> {
    return this.#session.dispose()
  }

  async #runOnce(name: EntryName, index: number): Promise<StepTimes> {
    const rows = this.#batches[index % this.#batches.length]!
    const started = performance.now()
    const packed = packRows(rows, encoderLimits(this.#backbone.imported.graph))
    const batch =
      name === 'forward'
        ? packed
        : {
            ...packed,
            labels: packLabels('classification', outputs, rows.labels, packed.cu),
            learningRate: 1e-4,
            step: this.#step++,
          }
    const { opMilliseconds } = await this.#session.run(name, [batch])
    const milliseconds = performance.now() - started
    const entry = this.#entry(name)
    const lengths = rows.inputIds.map((row) => row.length)
    return {
      tokens: sum(lengths),
      rows: lengths.length,
      milliseconds,
      flops: countFlops(entry.nodes, lengths),
      split: splitStep(milliseconds, opMilliseconds?.[0] ?? new Float64Array(0), nodePhases(entry)),
    }
  }

  #entry(name: EntryName): Entry {
    return this.#session.plan.entries.find((each) => each.entry.name === name)!.entry
  }
}

/** Classes of the head. */
const outputs = 2
