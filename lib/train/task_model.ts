import { seedWords } from '../adapters/init.js'
import type { AdapterReport } from '../adapters/houlsby.js'
import { isBackbone } from '../backbone/backbone.js'
import { unpackRows, type PackedRows } from '../data/pack.js'
import { heads } from '../heads/index.js'
import { wrongOption } from '../options.js'
import type { ParameterLayout, ParameterView } from '../plan/layout.js'
import type { Plan } from '../plan/plan.js'
import { resolveDevice, resolveThreads } from '../runtime/device.js'
import type { NativeMemory } from '../runtime/native-types.js'
import { Session } from '../runtime/session.js'
import { encoderLimits, packRows, type EncoderLimits, type Rows } from './batch.js'
import { compileInference, type CompiledInference, type EncoderSource } from './compile.js'
import { packLabels, type Labels } from './labels.js'
import { packTensors, unpackTensors, type Tensor, type TensorMap } from './tensors.js'
import { resolveTrainerOptions, type ResolvedModel, type TrainerOptions } from './trainer_options.js'

/** Rows with their labels. */
export interface LabelledRows extends Rows {
  readonly labels: Labels
}

/** A compiled model on its device. */
export interface OpenedModel {
  readonly session: Session
  readonly layout: ParameterLayout
  readonly adapters: AdapterReport | undefined
  readonly options: ResolvedModel
  readonly limits: EncoderLimits
}

/**
 * Checks options, compiles, and fills the parameters with their start.
 * @param compile for training or for inference alone
 */
export async function openModel(
  options: TrainerOptions,
  compile: (encoder: EncoderSource, model: ResolvedModel) => CompiledInference,
): Promise<OpenedModel> {
  const model = resolveTrainerOptions(options)
  const threads = resolveThreads(options.threads)
  const { target } = resolveDevice(options.device, options.precision)
  const { backbone } = options
  if (!isBackbone(backbone)) throw wrongOption('backbone', 'what loadBackbone() gives', backbone)
  const { entries, layout, initial, adapters } = compile(backbone.imported, model)
  const weights = backbone.weights(target)
  const session = await Session.create({ entries, layout, weights, seed: seedWords(model.seed), threads })
  await session.write({ parameters: initial })
  return { session, layout, adapters, options: model, limits: encoderLimits(backbone.imported.graph) }
}

/**
 * One task on a shared frozen backbone, for inference: it holds no gradients, no optimizer moments, and no weights packed
 * for a backward pass. Nothing here blocks the JavaScript thread. Calls that compute or change are refused with ERR_BUSY
 * while an earlier one is not finished; the others take their turn, so that `parameters` behind `setParameters` gives
 * what that left and `dispose` lets it finish.
 */
export class TaskModel {
  readonly #opened: OpenedModel

  protected constructor(opened: OpenedModel) {
    this.#opened = opened
  }

  /** @throws {OptionError} ERR_OPTION before any work; {DeviceError} ERR_ADDON, ERR_DEVICE, ERR_MEMORY */
  static async create(options: TrainerOptions): Promise<TaskModel> {
    return new TaskModel(await openModel(options, compileInference))
  }

  /** Scalars that are trained, or were. */
  get trainedParameters(): number {
    return this.#opened.layout.trained.reduce((sum, { length }) => sum + length, 0)
  }

  /** Where adapters are, and how many scalars they hold; undefined without adapters. */
  get adapters(): AdapterReport | undefined {
    return this.#opened.adapters
  }

  /** The memory plan now in force, for reports. */
  get plan(): Plan {
    return this.#opened.session.plan
  }

  memory(): NativeMemory {
    return this.#opened.session.memory()
  }

  /** Copies of all trained tensors by public name. */
  async parameters(): Promise<TensorMap> {
    const { session, layout } = this.#opened
    return unpackTensors(await session.read('parameters'), layout.trained)
  }

  /** Copies of all tensors this task owns: the trained ones, and a head that is not trained. */
  async tensors(): Promise<TensorMap> {
    const { session, layout } = this.#opened
    return unpackTensors(await session.read('parameters'), ownedViews(layout))
  }

  /**
   * Replaces tensors by name; those not in the map stay.
   * @throws {OptionError} ERR_OPTION for an unknown name or size, or a value that is not finite, and then nothing
   * changes; {DeviceError} ERR_BUSY while a call that computes or changes is not finished
   */
  async setParameters(tensors: ReadonlyMap<string, Pick<Tensor, 'data'> & Partial<Tensor>>): Promise<void> {
    const { session, layout } = this.#opened
    await session.update('parameters', (flat) => packTensors(flat, ownedViews(layout), tensors))
  }

  /** Logits without dropout: one array per row, [outputs], or [length · outputs] where the head reads every token. */
  async forward(rows: Rows): Promise<Float32Array[]> {
    const { session, limits } = this.#opened
    const batch = packRows(rows, limits)
    const { outputs } = await session.run('forward', [batch])
    return this.#unpackLogits(outputs[0]!, batch)
  }

  /** Loss and logits without dropout; changes nothing. */
  async evaluate(rows: LabelledRows): Promise<{ loss: number; logits: Float32Array[] }> {
    const batch = packLabelled(this.#opened, rows)
    const { losses, outputs } = await this.#opened.session.run('evaluate', [batch])
    return { loss: losses[0]!, logits: this.#unpackLogits(outputs[0]!, batch) }
  }

  /** Waits for what runs, then frees native memory; calls after it throw ERR_DISPOSED. */
  dispose(): Promise<void> {
    return this.#opened.session.dispose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }

  #unpackLogits(flat: Float32Array, batch: PackedRows): Float32Array[] {
    const { kind, outputs } = this.#opened.options
    return unpackRows(flat, batch.cu, outputs, heads[kind].perToken)
  }
}

/** Where all tensors lie that a task owns. */
export function ownedViews({ trained, held }: ParameterLayout): ParameterView[] {
  return [...trained, ...held]
}

/** Rows and labels as the device takes them. @throws {DataError} ERR_DATA_* */
export function packLabelled(
  { limits, options }: OpenedModel,
  rows: LabelledRows,
): PackedRows & { labels: Int32Array | Float32Array } {
  const batch = packRows(rows, limits)
  return { ...batch, labels: packLabels(options.kind, options.outputs, rows.labels, batch.cu) }
}
