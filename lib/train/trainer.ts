import { DeviceError } from '../errors.js'
import { checkKeys, checkNumber, wrongOption } from '../options.js'
import type { NativeBatch } from '../runtime/native-types.js'
import { compileModel } from './compile.js'
import { notFinite } from './not_finite.js'
import { largestFloat } from './optimizer.js'
import { openModel, ownedViews, packLabelled, TaskModel, type LabelledRows, type OpenedModel } from './task_model.js'
import { packTensors, unpackTensors, type TensorMap } from './tensors.js'
import type { TrainerOptions } from './trainer_options.js'

export type { LabelledRows }

export interface StepOptions {
  /** For this step; 0 or more, and a finite float32. */
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

/**
 * One task on a shared frozen backbone: forward, gradients and optimizer steps, one call each. Nothing here blocks the
 * JavaScript thread. Calls that compute or change are refused with ERR_BUSY while an earlier one is not finished; the
 * others take their turn, so that `parameters` behind a step gives what the step left and `dispose` lets it finish.
 */
export class Trainer extends TaskModel {
  readonly #opened: OpenedModel
  #step = 0

  private constructor(opened: OpenedModel) {
    super(opened)
    this.#opened = opened
  }

  /** @throws {OptionError} ERR_OPTION before any work; {DeviceError} ERR_ADDON, ERR_DEVICE, ERR_MEMORY */
  static override async create(options: TrainerOptions): Promise<Trainer> {
    return new Trainer(await openModel(options, compileModel))
  }

  /** Optimizer steps done so far, the one under way included. */
  get stepCount(): number {
    return this.#step
  }

  /** Loss and gradients of all trained tensors, before clipping; changes nothing. */
  async gradients(rows: LabelledRows): Promise<{ loss: number; gradientNorm: number; gradients: TensorMap }> {
    const { session, layout } = this.#opened
    const batch = { ...packLabelled(this.#opened, rows), step: this.#step }
    const { losses, norms, read } = await session.run('gradients', [batch], 'gradients')
    return { loss: losses[0]!, gradientNorm: norms[0]!, gradients: unpackTensors(read, layout.trained) }
  }

  /**
   * Forward, backward, clipping and AdamW.
   * @throws {TrainError} ERR_TRAIN_LOSS, ERR_TRAIN_GRADIENT where a loss or the norm of the gradients is not finite: with
   * such a norm parameters and moments stay as they were; {OptionError} ERR_OPTION; {DataError} ERR_DATA_*;
   * {DeviceError} ERR_BUSY, ERR_DISPOSED
   */
  async step(rows: LabelledRows, options: StepOptions): Promise<StepResult> {
    const [result] = await this.stepMany([rows], [options])
    return result!
  }

  /** Several steps in one call, up to the first that fails. @throws as `step` */
  async stepMany(batches: readonly LabelledRows[], options: readonly StepOptions[]): Promise<StepResult[]> {
    if (!Array.isArray(batches)) throw wrongOption('batches', 'a list', batches)
    if (!Array.isArray(options) || options.length !== batches.length)
      throw wrongOption('options', `a list as long as that of the batches, ${batches.length}`, options)
    const native = (batches as readonly LabelledRows[]).map((rows, i): NativeBatch => {
      const given = (options as readonly StepOptions[])[i]!
      checkKeys('step', given, ['learningRate'])
      const { learningRate } = given
      // 0 is what a schedule ends with, and it measures without moving.
      checkNumber('learningRate', learningRate, { least: 0, most: largestFloat })
      return { ...packLabelled(this.#opened, rows), learningRate, step: this.#step + i }
    })
    const { session, layout } = this.#opened
    const running = session.run('step', native)
    // Counted with the call, as its parameters are: a state that is read behind it holds both.
    const before = this.#step
    this.#step += native.length
    const { losses, norms } = await running.catch((error: unknown) => {
      this.#step = before + stepsDone(error)
      throw error
    })
    const results = Array.from(losses, (loss, i) => ({ loss, gradientNorm: norms[i]! }))
    const last = results.at(-1)
    if (!last || (Number.isFinite(last.loss) && Number.isFinite(last.gradientNorm))) return results
    const step = before + results.length
    this.#step = Number.isFinite(last.gradientNorm) ? step : step - 1
    const { learningRate = 0 } = native[results.length - 1]!
    throw await notFinite(session, layout, { step, ...last, learningRate })
  }

  /** Parameters, moments and step number, to go on from. */
  async readState(): Promise<TrainerState> {
    const { session, layout } = this.#opened
    const step = this.#step
    const [parameters, moment1, moment2] = await Promise.all([
      session.read('parameters'),
      session.read('moment1'),
      session.read('moment2'),
    ])
    return {
      step,
      parameters: unpackTensors(parameters, ownedViews(layout)),
      moment1: unpackTensors(moment1, layout.trained),
      moment2: unpackTensors(moment2, layout.trained),
    }
  }

  /**
   * Goes on from a state of the same model.
   * @throws {OptionError} ERR_OPTION where names or sizes differ, or a value is not finite; {DeviceError} ERR_BUSY
   */
  async writeState(state: TrainerState): Promise<void> {
    checkKeys('state', state, ['step', 'parameters', 'moment1', 'moment2'])
    const { session, layout } = this.#opened
    const pack = (tensors: TensorMap) => {
      const flat = new Float32Array(layout.size)
      packTensors(flat, ownedViews(layout), tensors)
      return flat
    }
    const [parameters, moment1, moment2] = [pack(state.parameters), pack(state.moment1), pack(state.moment2)]
    const step = checkNumber('step', state.step, { least: 0, integer: true })
    const writing = session.write({ parameters, moment1, moment2 })
    this.#step = step
    await writing
  }
}

/** Steps that took effect before one of a call failed. */
function stepsDone(error: unknown): number {
  const batch = error instanceof DeviceError ? Number(error.details.batch) : 0
  return Number.isInteger(batch) ? batch : 0
}
