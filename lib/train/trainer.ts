import { seedWords } from '../adapters/init.js'
import type { AdapterReport } from '../adapters/houlsby.js'
import { unpackRows, type PackedRows } from '../data/pack.js'
import { DeviceError } from '../errors.js'
import { heads } from '../heads/index.js'
import { checkKeys, checkNumber, wrongOption } from '../options.js'
import type { Plan } from '../plan/plan.js'
import { resolveDevice, resolveThreads } from '../runtime/device.js'
import type { NativeBatch, NativeMemory } from '../runtime/native-types.js'
import { Session } from '../runtime/session.js'
import { encoderLimits, packRows, type EncoderLimits, type Rows } from './batch.js'
import { compileModel, type CompiledModel } from './compile.js'
import { packLabels, type Labels } from './labels.js'
import { packTensors, unpackTensors, type Tensor, type TensorMap } from './tensors.js'
import { resolveTrainerOptions, type ResolvedModel, type TrainerOptions } from './trainer_options.js'

/** Rows with their labels. */
export interface LabelledRows extends Rows {
  readonly labels: Labels
}

export interface StepOptions {
  /** Above 0, for this step. */
  readonly learningRate: number
}

export interface StepResult {
  /** Before the update. */
  readonly loss: number
  /** Global norm over all trained tensors, before clipping. */
  readonly gradientNorm: number
}

/** All that a run needs to go on where it stopped. */
export interface TrainerState {
  /** Optimizer steps done. */
  readonly step: number
  /** Trained tensors, and those that are kept untrained. */
  readonly parameters: TensorMap
  /** Of the trained tensors. */
  readonly moment1: TensorMap
  readonly moment2: TensorMap
}

/** Steps that took effect before one of a call failed. */
function stepsDone(error: unknown): number {
  const batch = error instanceof DeviceError ? Number(error.details.batch) : 0
  return Number.isInteger(batch) ? batch : 0
}

/** What is kept: the initial content, as large as the parameters, is not. */
type Compiled = Omit<CompiledModel, 'initial'>

/**
 * One task on a shared frozen backbone: forward, gradients and optimizer steps, one call each. Nothing here blocks the
 * JavaScript thread. Calls that compute or change are refused with ERR_BUSY while an earlier one is not finished; the
 * others take their turn, so that `parameters` behind a step gives what the step left and `dispose` lets it finish.
 */
export class Trainer {
  readonly #session: Session
  readonly #compiled: Compiled
  readonly #model: ResolvedModel
  readonly #limits: EncoderLimits
  #step = 0

  private constructor(session: Session, compiled: Compiled, model: ResolvedModel, limits: EncoderLimits) {
    this.#session = session
    this.#compiled = compiled
    this.#model = model
    this.#limits = limits
  }

  /** @throws {OptionError} ERR_OPTION before any work; {DeviceError} ERR_ADDON, ERR_DEVICE, ERR_MEMORY */
  static async create(options: TrainerOptions): Promise<Trainer> {
    const model = resolveTrainerOptions(options)
    const threads = resolveThreads(options.threads)
    const { isa } = resolveDevice(options.device)
    const { backbone } = options
    if (!backbone?.imported) throw wrongOption('backbone', 'what loadBackbone() gives', backbone)
    const { initial, ...compiled } = compileModel(backbone.imported, model)
    const { entries, layout } = compiled
    const session = await Session.create({
      entries,
      layout,
      weights: backbone.weights(isa),
      seed: seedWords(model.seed),
      threads,
    })
    await session.write({ parameters: initial })
    return new Trainer(session, compiled, model, encoderLimits(backbone.imported.graph))
  }

  /** Optimizer steps done so far, the one under way included. */
  get stepCount(): number {
    return this.#step
  }

  /** Scalars that are trained. */
  get trainedParameters(): number {
    return this.#compiled.layout.trained.reduce((sum, { length }) => sum + length, 0)
  }

  /** Where adapters are, and how many scalars they hold; undefined without adapters. */
  get adapters(): AdapterReport | undefined {
    return this.#compiled.adapters
  }

  /** The memory plan now in force, for reports. */
  get plan(): Plan {
    return this.#session.plan
  }

  memory(): NativeMemory {
    return this.#session.memory()
  }

  /** Copies of all trained tensors by public name. */
  async parameters(): Promise<TensorMap> {
    return unpackTensors(await this.#session.read('parameters'), this.#compiled.layout.trained)
  }

  /** Copies of all tensors this task owns: the trained ones, and a head that is not trained. */
  async tensors(): Promise<TensorMap> {
    return unpackTensors(await this.#session.read('parameters'), this.#owned())
  }

  /**
   * Replaces tensors by name; those not in the map stay.
   * @throws {OptionError} ERR_OPTION for an unknown name or size, and then nothing changes; {DeviceError} ERR_BUSY while
   * a call that computes or changes is not finished
   */
  async setParameters(tensors: ReadonlyMap<string, Pick<Tensor, 'data'> & Partial<Tensor>>): Promise<void> {
    await this.#session.update('parameters', (flat) => packTensors(flat, this.#owned(), tensors))
  }

  /** Logits without dropout: one array per row, [outputs], or [length · outputs] where the head reads every token. */
  async forward(rows: Rows): Promise<Float32Array[]> {
    const batch = packRows(rows, this.#limits)
    const { outputs } = await this.#session.run('forward', [batch])
    return this.#unpackLogits(outputs[0]!, batch)
  }

  /** Loss and logits without dropout; changes nothing. */
  async evaluate(rows: LabelledRows): Promise<{ loss: number; logits: Float32Array[] }> {
    const batch = this.#packLabelled(rows)
    const { losses, outputs } = await this.#session.run('evaluate', [batch])
    return { loss: losses[0]!, logits: this.#unpackLogits(outputs[0]!, batch) }
  }

  /** Loss and gradients of all trained tensors, before clipping; changes nothing. */
  async gradients(rows: LabelledRows): Promise<{ loss: number; gradientNorm: number; gradients: TensorMap }> {
    const batch = { ...this.#packLabelled(rows), step: this.#step }
    const { losses, norms, read } = await this.#session.run('gradients', [batch], 'gradients')
    return { loss: losses[0]!, gradientNorm: norms[0]!, gradients: unpackTensors(read, this.#compiled.layout.trained) }
  }

  /** Forward, backward, clipping and AdamW. A gradient that is not finite leaves the parameters as they are. */
  async step(rows: LabelledRows, options: StepOptions): Promise<StepResult> {
    const [result] = await this.stepMany([rows], [options])
    return result!
  }

  /** Several steps in one call. */
  async stepMany(batches: readonly LabelledRows[], options: readonly StepOptions[]): Promise<StepResult[]> {
    const native = batches.map((rows, i): NativeBatch => {
      const { learningRate, ...rest } = options[i] ?? ({} as Partial<StepOptions>)
      checkKeys('step', rest, ['learningRate'])
      // 0 is what a schedule ends with, and it measures without moving.
      checkNumber('learningRate', learningRate, { least: 0 })
      return { ...this.#packLabelled(rows), learningRate: learningRate!, step: this.#step + i }
    })
    const running = this.#session.run('step', native)
    // Counted with the call, as its parameters are: a state that is read behind it holds both.
    const before = this.#step
    this.#step += native.length
    try {
      const { losses, norms } = await running
      return Array.from(losses, (loss, i) => ({ loss, gradientNorm: norms[i]! }))
    } catch (error) {
      this.#step = before + stepsDone(error)
      throw error
    }
  }

  /** Parameters, moments and step number, to go on from. */
  async readState(): Promise<TrainerState> {
    const step = this.#step
    const [parameters, moment1, moment2] = await Promise.all([
      this.#session.read('parameters'),
      this.#session.read('moment1'),
      this.#session.read('moment2'),
    ])
    const { trained } = this.#compiled.layout
    return {
      step,
      parameters: unpackTensors(parameters, this.#owned()),
      moment1: unpackTensors(moment1, trained),
      moment2: unpackTensors(moment2, trained),
    }
  }

  /**
   * Goes on from a state of the same model.
   * @throws {OptionError} ERR_OPTION where names or sizes differ; {DeviceError} ERR_BUSY
   */
  async writeState(state: TrainerState): Promise<void> {
    const { layout } = this.#compiled
    const pack = (tensors: TensorMap) => {
      const flat = new Float32Array(layout.size)
      packTensors(flat, this.#owned(), tensors)
      return flat
    }
    const [parameters, moment1, moment2] = [pack(state.parameters), pack(state.moment1), pack(state.moment2)]
    const step = checkNumber('step', state.step, { least: 0, integer: true })
    const writing = this.#session.write({ parameters, moment1, moment2 })
    this.#step = step
    await writing
  }

  /** Waits for what runs, then frees native memory; calls after it throw ERR_DISPOSED. */
  dispose(): Promise<void> {
    return this.#session.dispose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }

  #owned() {
    const { trained, held } = this.#compiled.layout
    return [...trained, ...held]
  }

  #packLabelled(rows: LabelledRows): PackedRows & { labels: Int32Array | Float32Array } {
    const batch = packRows(rows, this.#limits)
    return { ...batch, labels: packLabels(this.#model.kind, this.#model.outputs, rows.labels, batch.cu) }
  }

  #unpackLogits(flat: Float32Array, batch: PackedRows): Float32Array[] {
    return unpackRows(flat, batch.cu, this.#model.outputs, heads[this.#model.kind].perToken)
  }
}
