import { seedWords } from '../adapters/init.js'
import type { Backbone } from '../backbone/backbone.js'
import { joinRows, unpackRows, type PackedRows } from '../data/pack.js'
import { OptionError } from '../errors.js'
import { heads } from '../heads/index.js'
import type { Node, Value } from '../ir/graph.js'
import { layOutParameters, type ParameterLayout } from '../plan/layout.js'
import { weightUses, type WeightUse } from '../plan/plan.js'
import type { NativeMemory } from '../runtime/native-types.js'
import { Session } from '../runtime/session.js'
import { encoderLimits, type EncoderLimits } from '../train/batch.js'
import { compileShared, type CompiledShared } from '../train/compile.js'
import { packTensors, type Tensor } from '../train/tensors.js'
import type { ResolvedModel } from '../train/trainer_options.js'

/** Tasks whose heads have up to as many outputs share a model; the rest of a smaller head is 0. */
const outputsStep = 16

/** Rows of one task, for a batch of several. */
export interface TaskRows {
  /** As `add` gave it. */
  readonly task: number
  readonly rows: PackedRows
}

/**
 * Many tasks on one backbone: frozen weights once, and of each task its adapters, LayerNorms and head. A batch holds
 * rows of any of them: what is the backbone's runs over all rows at once, what is a task's over that task's rows. The
 * tasks are alike but for those tensors and the width of their heads: `modelShape` says which are.
 */
export class SharedModel {
  readonly limits: EncoderLimits
  /** False where a batch holds rows of one task alone: its embeddings are its own. */
  readonly mixes: boolean
  /** Width of the logits of every task here. */
  readonly #outputs: number
  readonly #perToken: boolean
  readonly #session: Session
  readonly #parameters: readonly Value[]
  readonly #uses: readonly WeightUse[]
  /** Width of the head of each task, by its number. */
  readonly #widths = new Map<number, number>()

  private constructor(session: Session, model: ResolvedModel, compiled: CompiledShared, limits: EncoderLimits) {
    this.limits = limits
    this.mixes = compiled.entries.every(({ nodes }) => nodes.every(canMix))
    this.#outputs = model.outputs
    this.#perToken = heads[model.kind].perToken
    this.#session = session
    this.#parameters = compiled.parameters
    this.#uses = weightUses(compiled.entries, 'task')
  }

  /** @throws {DeviceError} ERR_ADDON, ERR_MEMORY; {OptionError} ERR_OPTION where the backbone lacks what is asked of it */
  static async create(backbone: Backbone, model: ResolvedModel, target: string, threads: number): Promise<SharedModel> {
    const shared = { ...model, outputs: roomFor(model.outputs) }
    const compiled = compileShared(backbone.imported, shared)
    const { entries, layout } = compiled
    const session = await Session.create({
      entries,
      layout,
      weights: backbone.weights(target),
      seed: seedWords(0),
      threads,
    })
    return new SharedModel(session, shared, compiled, encoderLimits(backbone.imported.graph, backbone.config))
  }

  /**
   * Makes a task resident.
   * @param outputs width of its own head
   * @param tensors as `TaskModel.tensors()` gives them
   * @returns its number
   * @throws {OptionError} ERR_OPTION for a tensor that is missing, of another size or not known, or values that are not
   * finite; {DeviceError} ERR_MEMORY
   */
  async add(outputs: number, tensors: ReadonlyMap<string, Pick<Tensor, 'data'> & Partial<Tensor>>): Promise<number> {
    const values = this.#parameters.map((value) =>
      isHead(value) ? { ...value, shape: [outputs, ...value.shape.slice(1)] } : value,
    )
    const layout = layOutParameters(values, () => true)
    const missing = layout.trained.find(({ name }) => !tensors.has(name))
    if (missing) {
      throw new OptionError('ERR_OPTION', `the tensor "${missing.name}" is missing`, { option: missing.name })
    }
    const flat = new Float32Array(layout.size)
    packTensors(flat, layout.trained, tensors)
    const task = await this.#session.addTask(this.#uses.map((use) => contentOf(use, flat, layout, outputs)))
    this.#widths.set(task, outputs)
    return task
  }

  /** Frees a task, behind the batches before it. */
  remove(task: number): Promise<void> {
    return this.#session.removeTask(task)
  }

  /**
   * One array a row, in the order of the groups: [outputs of its task's head], or [length · outputs].
   * @param groups each of another task; one alone unless the model `mixes`
   */
  async forward(groups: readonly TaskRows[]): Promise<Float32Array[][]> {
    const batch = joinRows(groups.map(({ rows }) => rows))
    let end = 0
    const taskEnds = Int32Array.from(groups, ({ rows }) => (end += rows.cu.length - 1))
    const tasks = Int32Array.from(groups, ({ task }) => task)
    const [logits] = (await this.#session.run('forward', [{ ...batch, tasks, taskEnds }])).outputs
    const all = unpackRows(logits!, batch.cu, this.#outputs, this.#perToken)
    return groups.map(({ task, rows }, g) => {
      const own = all.slice(taskEnds[g]! - (rows.cu.length - 1), taskEnds[g])
      return own.map((row) => firstColumns(row, this.#outputs, this.#widths.get(task)!))
    })
  }

  memory(): NativeMemory {
    return this.#session.memory()
  }

  dispose(): Promise<void> {
    return this.#session.dispose()
  }
}

/** Equal for models that may share one: all but the values of tensors and, within limits, the width of the head. */
export function modelShape({ adapter, trainable, pool, kind, outputs }: ResolvedModel): string {
  const { size, activation, layers } = adapter || {}
  const { perToken } = heads[kind]
  const trained = Array.isArray(trainable) ? [...(trainable as string[])].sort() : trainable
  return JSON.stringify([size, activation, layers, trained, perToken || pool, roomFor(outputs)])
}

function roomFor(outputs: number): number {
  return Math.ceil(outputs / outputsStep) * outputsStep
}

/** An op that reads weights of a task runs on that task's rows alone: all else it reads must have rows. */
function canMix({ inputs }: Node): boolean {
  const storages = Object.values(inputs).map(({ storage }) => storage)
  return !(storages.includes('task') && storages.includes('input'))
}

function isHead({ name }: Value): boolean {
  return name === 'head.weight' || name === 'head.bias'
}

/** A weight with a task's values; of a head that is narrower than the model's, the rest is 0. */
function contentOf({ key, form, value }: WeightUse, flat: Float32Array, layout: ParameterLayout, outputs: number) {
  const { name } = value
  const [rows = 1, ...rest] = value.shape.map(Number)
  const width = rest.reduce((product, size) => product * size, 1)
  const filled = isHead(value) ? outputs : rows
  const start = layout.offsets.get(name)!
  const part = (data: Float32Array, count: number) => ({ name, shape: [count, ...rest], data, transposed: false })
  const parts = [part(flat.subarray(start, start + filled * width), filled)]
  if (filled < rows) parts.push(part(new Float32Array((rows - filled) * width), rows - filled))
  return { key, form, value: { ...value, parts } }
}

/** Of a matrix of `width` columns the first ones. */
function firstColumns(matrix: Float32Array, width: number, columns: number): Float32Array {
  const rows = matrix.length / width
  const cut = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) cut.set(matrix.subarray(row * width, row * width + columns), row * columns)
  return cut
}
