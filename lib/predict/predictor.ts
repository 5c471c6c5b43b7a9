import { basename, resolve } from 'node:path'
import type { Backbone } from '../backbone/backbone.js'
import { checkPairs, encodeExamples, outputsByExample } from '../data/dataset.js'
import {
  describePlace,
  type Example,
  type Place,
  type QuestionInput,
  type TextInput,
  type WordsInput,
} from '../data/example.js'
import { ExampleMaker } from '../data/readers/columns.js'
import { objectRow } from '../data/readers/json_lines.js'
import {
  taskFamily,
  type EncodedExample,
  type ExampleOutputs,
  type Prediction as TaskPrediction,
} from '../data/tasks/index.js'
import { DeviceError, OptionError } from '../errors.js'
import type { TaskKind } from '../kinds.js'
import { checkKeys, checkNumber, hint, show, wrongOption } from '../options.js'
import { fitRowsToModel } from '../train/model_input.js'
import { resolveDevice, resolveThreads } from '../runtime/device.js'
import { blameRecord, readRun, type OpenRunOptions, type ReadRun } from '../train/open_run.js'
import type { Warning } from '../train/progress.js'
import { blameFile } from '../train/run.js'
import { resolveTrainerOptions } from '../train/trainer_options.js'
import { Batcher, type ResidentTask } from './batcher.js'
import { groupBy } from './group_by.js'
import { modelShape, SharedModel } from './shared_model.js'

/** What is to be judged, and by which run. */
export type PredictInput = (Omit<TextInput, 'label'> | Omit<WordsInput, 'tags'> | Omit<QuestionInput, 'answers'>) & {
  /** Name of the run, the last part of its folder. @default the only one that is loaded */
  readonly task?: string
}

export interface PredictOptions {
  /** Where each input is from, for messages. @default row 1, 2, ... */
  readonly places?: readonly Place[]
}

/** What a run says of an input. */
export interface Prediction extends TaskPrediction {
  /** Name of the run that said it. */
  readonly task: string
  /** There where the input was too long, and only the part that fits was judged. */
  readonly truncated?: true
}

export interface PredictorOptions extends OpenRunOptions {
  /** Tokens that go through the model at once, of all calls and tasks together; a longer row goes alone. @default 2048 */
  readonly batchTokens?: number
}

/** Bytes of native memory. */
export interface PredictorMemory {
  /** Weights of the backbone: once, for all tasks. */
  readonly backbone: number
  /** Of each run, by its name: adapters, LayerNorms and head. */
  readonly tasks: Readonly<Record<string, number>>
  /** Room for the batch that runs. */
  readonly activations: number
}

interface AskedExample {
  readonly run: Resident
  readonly example: Example
  /** Of its input in the call. */
  readonly index: number
}

/** A run that is in memory. */
interface Resident extends Pick<ReadRun, 'record' | 'task' | 'warnings'>, ResidentTask {
  readonly name: string
  /** Of its own tensors. */
  readonly bytes: number
  /** Calls that still need it. */
  readonly calls: Set<Promise<unknown>>
}

/**
 * Trained runs over one backbone in memory, hundreds if need be: a task adds only its own tensors. It may be called from
 * several places at once. What comes together, of whichever tasks, goes through the backbone as one batch.
 */
export class Predictor {
  readonly #options: PredictorOptions
  readonly #batcher: Batcher
  readonly #runs = new Map<string, Resident>()
  /** The first run's; every other run must be of it too. */
  #backbone: Backbone | undefined
  /** By what tasks must have in common. */
  readonly #models = new Map<string, SharedModel>()
  /** Settles, and never rejects, with the last `add` or `remove` so far. */
  #changing: Promise<unknown> = Promise.resolve()
  #disposed: Promise<void> | undefined

  private constructor(options: PredictorOptions) {
    this.#options = options
    this.#batcher = new Batcher(options.batchTokens ?? 2048)
  }

  /**
   * @param folders one run, or several of the same backbone, which is loaded once
   * @throws OptionError, RunError, OnnxImportError, DeviceError
   */
  static async load(folders: string | readonly string[], options: PredictorOptions = {}): Promise<Predictor> {
    checkKeys('Predictor.load', options, ['backbone', 'device', 'precision', 'threads', 'batchTokens'])
    if (options.batchTokens !== undefined)
      checkNumber('batchTokens', options.batchTokens, { least: 1, most: 1 << 24, integer: true })
    const list = typeof folders === 'string' ? [folders] : folders
    if (!Array.isArray(list) || list.length === 0 || !list.every((each) => typeof each === 'string' && each !== '')) {
      throw new OptionError(
        'ERR_OPTION',
        `Predictor.load: expected the folder of a run, or several, got ${show(folders)}`,
        { got: folders },
      )
    }
    const predictor = new Predictor(options)
    try {
      for (const folder of list) await predictor.add(folder)
    } catch (error) {
      await predictor.dispose()
      throw error
    }
    return predictor
  }

  /**
   * One more run of the same backbone. Calls under way go on.
   * @returns its name, the last part of the folder
   * @throws OptionError ERR_OPTION where a run of that name is there; RunError, OnnxImportError, DeviceError
   */
  async add(folder: string): Promise<string> {
    this.#checkUsable()
    return this.#change(() => this.#add(folder))
  }

  /** One change of what is loaded after the other. */
  #change<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#changing.then(change)
    this.#changing = changed.catch(() => undefined)
    return changed
  }

  async #add(folder: string): Promise<string> {
    const name = basename(resolve(folder))
    if (this.#runs.has(name)) {
      throw new OptionError(
        'ERR_OPTION',
        `Predictor: two runs are called "${name}"; the last part of the folder is the name`,
        { got: name },
      )
    }
    const { backbone, device, precision, threads } = this.#options
    const run = await readRun(folder, { backbone: this.#backbone ?? backbone, device, precision, threads })
    this.#backbone = run.backbone
    const model = await blameRecord(folder, () => this.#modelFor(run))
    const before = model.memory().tasks
    const number = await blameFile(run.file, () => model.add(run.task.outputs, run.tensors))
    const bytes = model.memory().tasks - before
    const { record, task, warnings } = run
    this.#runs.set(name, { name, record, task, warnings, model, number, bytes, calls: new Set() })
    return name
  }

  /** The model that tasks of this shape share. */
  async #modelFor({ options, backbone }: ReadRun): Promise<SharedModel> {
    const resolved = resolveTrainerOptions(options)
    const shape = modelShape(resolved)
    const before = this.#models.get(shape)
    if (before) return before
    const { target } = resolveDevice(options.device, options.precision)
    const model = await SharedModel.create(backbone, resolved, target, resolveThreads(options.threads))
    this.#models.set(shape, model)
    return model
  }

  /**
   * Frees a run's tensors once the calls that need it are done.
   * @throws OptionError ERR_OPTION for a run that is not loaded
   */
  async remove(task: string): Promise<void> {
    this.#checkUsable()
    const { model, number, calls } = this.#run(task)
    this.#runs.delete(task)
    await this.#change(async () => {
      await Promise.allSettled(calls)
      await model.remove(number)
    })
  }

  /** What is in memory now. */
  memory(): PredictorMemory {
    const models = [...this.#models.values()].map((model) => model.memory())
    return {
      backbone: Math.max(0, ...models.map(({ frozen }) => frozen)),
      tasks: Object.fromEntries([...this.#runs.values()].map(({ name, bytes }) => [name, bytes])),
      activations: models.reduce((sum, { activations, scratch }) => sum + activations + scratch, 0),
    }
  }

  /** Names of the runs. */
  get tasks(): string[] {
    return [...this.#runs.keys()]
  }

  /** Of all runs: WARN_RUN_UNFINISHED where a training is not at its end. */
  get warnings(): Warning[] {
    return [...this.#runs.values()].flatMap(({ warnings }) => warnings)
  }

  /**
   * The kind of a run's task: what its predictions hold.
   * @throws OptionError ERR_OPTION for a run that is not loaded
   */
  kind(task: string): TaskKind {
    return this.#run(task).task.kind
  }

  /**
   * Predictions in the order of the inputs; one call may mix tasks. A text that is given to a token task is split into
   * words at white space.
   * @throws OptionError ERR_OPTION for a task that is not loaded; DataError ERR_DATA_ROW; DeviceError ERR_DISPOSED
   */
  async predict(inputs: readonly (string | PredictInput)[], options: PredictOptions = {}): Promise<Prediction[]> {
    checkKeys('predict', options, ['places'])
    this.#checkUsable()
    if (!Array.isArray(inputs)) throw wrongOption('inputs', 'a list of texts or inputs', inputs)
    const { places = inputs.map((_, i) => ({ row: i + 1 })) } = options
    if (!Array.isArray(places) || places.length !== inputs.length)
      throw wrongOption('places', `a list as long as that of the inputs, ${inputs.length}`, places)
    const asked = inputs.map((input: string | PredictInput, i) => this.#readInput(input, (places as Place[])[i]!, i))
    const results = new Array<Prediction>(asked.length)
    const judged = [...groupBy(asked, (each) => each.run)].map(([run, group]) => this.#judge(run, group, results))
    // All of them to their end: what is wrong with one task's rows must not leave another's behind.
    for (const end of await Promise.allSettled(judged)) if (end.status === 'rejected') throw end.reason
    return results
  }

  /** Judges rows of one run, which must not go meanwhile, and puts each answer into its place. */
  async #judge(run: Resident, asked: readonly AskedExample[], results: Prediction[]): Promise<void> {
    const judged = this.#forward(run, asked)
    run.calls.add(judged)
    try {
      for (const [k, example] of (await judged).entries())
        results[asked[k]!.index] = {
          task: run.name,
          ...run.task.predict(example),
          ...(isCut(example) && { truncated: true }),
        }
    } finally {
      run.calls.delete(judged)
    }
  }

  async #forward(run: Resident, asked: readonly AskedExample[]): Promise<ExampleOutputs[]> {
    const backbone = this.#backbone!
    const { maxLength } = run.record.options
    const examples = asked.map(({ example }) => example)
    const encoded = await encodeExamples(examples, run.task, await backbone.tokenizer(), maxLength)
    return outputsByExample(encoded, await this.#batcher.forward(run, fitRowsToModel(encoded, backbone)))
  }

  /** Lets the calls before it finish, then frees native memory. May be called again. */
  dispose(): Promise<void> {
    return (this.#disposed ??= this.#dispose())
  }

  async #dispose(): Promise<void> {
    const calls = [...this.#runs.values()].flatMap((run) => [...run.calls])
    await Promise.allSettled([this.#changing, ...calls])
    for (const model of this.#models.values()) await model.dispose()
  }

  #checkUsable(): void {
    if (this.#disposed) throw new DeviceError('ERR_DISPOSED', 'the predictor has been disposed and cannot be used')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }

  #readInput(input: string | PredictInput, place: Place, index: number): AskedExample {
    const { task: name = this.#onlyTask(), ...values } =
      typeof input === 'string' ? { text: input, task: undefined } : (objectRow(input, place).values as PredictInput)
    const run = this.#run(name, place)
    const { task, record } = run
    const { fields } = taskFamily(task.kind)
    const split = fields.words && 'text' in values && typeof values.text === 'string'
    const given = split ? { tokens: values.text.split(/\s+/).filter((word) => word !== '') } : values
    const example = new ExampleMaker(fields, {}, false).make(objectRow(given, place))
    checkPairs([example], record.options.pair, `the data that "${name}" was trained on`)
    return { run, example, index }
  }

  #run(name: string, place?: Place): Resident {
    const run = this.#runs.get(name)
    if (run) return run
    const where = place === undefined ? '' : `${describePlace(place)}: `
    if (typeof name !== 'string') throw wrongOption('task', 'the name of a run', name)
    const known = this.tasks.length > 0 ? `there are ${this.tasks.join(', ')}` : 'there is none'
    throw new OptionError('ERR_OPTION', `${where}no run "${name}" is loaded; ${known}${hint(name, this.tasks)}`, {
      option: 'task',
      got: name,
      expected: this.tasks,
    })
  }

  #onlyTask(): string {
    const [name, ...others] = this.tasks
    if (name === undefined) throw new OptionError('ERR_OPTION', 'no run is loaded: `add` one', { option: 'task' })
    if (others.length === 0) return name
    throw new OptionError(
      'ERR_OPTION',
      `several runs are loaded (${this.tasks.join(', ')}): each input must name its "task"`,
      { option: 'task', expected: this.tasks },
    )
  }
}

function isCut({ rows }: EncodedExample): boolean {
  return rows.some(({ truncated }) => truncated)
}
