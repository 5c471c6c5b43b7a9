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
import { taskFamily, type EncodedExample, type Prediction as TaskPrediction } from '../data/tasks/index.js'
import { DeviceError, OptionError } from '../errors.js'
import type { TaskKind } from '../kinds.js'
import { checkKeys, hint, show, wrongOption } from '../options.js'
import { fitRowsToModel } from '../train/model_input.js'
import { openRun, type OpenRun, type OpenRunOptions } from '../train/open_run.js'
import type { Warning } from '../train/progress.js'
import { forwardRows } from '../train/score.js'

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

interface AskedExample {
  readonly run: string
  readonly example: Example
}

/**
 * Trained runs over one backbone in memory. It may be called from several places at once: calls take their turns.
 */
export class Predictor {
  readonly #runs: ReadonlyMap<string, OpenRun>
  /** Settles, and never rejects, with the last call so far. */
  #last: Promise<unknown> = Promise.resolve()
  #disposed: Promise<void> | undefined

  private constructor(runs: ReadonlyMap<string, OpenRun>) {
    this.#runs = runs
  }

  /**
   * @param folders one run, or several of the same backbone, which is loaded once
   * @throws OptionError, RunError, OnnxImportError, DeviceError
   */
  static async load(folders: string | readonly string[], options: OpenRunOptions = {}): Promise<Predictor> {
    checkKeys('Predictor.load', options, ['backbone', 'device', 'precision', 'threads'])
    const list = typeof folders === 'string' ? [folders] : folders
    if (!Array.isArray(list) || list.length === 0 || !list.every((each) => typeof each === 'string' && each !== '')) {
      throw new OptionError(
        'ERR_OPTION',
        `Predictor.load: expected the folder of a run, or several, got ${show(folders)}`,
        { got: folders },
      )
    }
    const runs = new Map<string, OpenRun>()
    let backbone: Backbone | string | undefined = options.backbone
    try {
      for (const folder of list) {
        const name = basename(resolve(folder))
        if (runs.has(name)) {
          throw new OptionError(
            'ERR_OPTION',
            `Predictor.load: two runs are called "${name}"; the last part of the folder is the name`,
            { got: name },
          )
        }
        const run = await openRun(folder, { ...options, backbone })
        backbone = run.backbone
        runs.set(name, run)
      }
    } catch (error) {
      for (const run of runs.values()) await run.model.dispose()
      throw error
    }
    return new Predictor(runs)
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
    if (this.#disposed) throw new DeviceError('ERR_DISPOSED', 'the predictor has been disposed and cannot be used')
    if (!Array.isArray(inputs)) throw wrongOption('inputs', 'a list of texts or inputs', inputs)
    const { places = inputs.map((_, i) => ({ row: i + 1 })) } = options
    if (!Array.isArray(places) || places.length !== inputs.length)
      throw wrongOption('places', `a list as long as that of the inputs, ${inputs.length}`, places)
    const asked = inputs.map((input: string | PredictInput, i) => this.#readInput(input, (places as Place[])[i]!))
    return this.#inTurn(() => this.#judge(asked))
  }

  async #judge(asked: readonly AskedExample[]): Promise<Prediction[]> {
    const results = new Array<Prediction>(asked.length)
    for (const [name, run] of this.#runs) {
      const chosen = asked.flatMap((each, i) => (each.run === name ? [i] : []))
      if (chosen.length === 0) continue
      const tokenizer = await run.backbone.tokenizer()
      const examples = chosen.map((i) => asked[i]!.example)
      const encoded = await encodeExamples(examples, run.task, tokenizer, run.record.options.maxLength)
      const outputs = await forwardRows(run.model, fitRowsToModel(encoded, run.backbone))
      for (const [k, example] of outputsByExample(encoded, outputs).entries())
        results[chosen[k]!] = { task: name, ...run.task.predict(example), ...(isCut(example) && { truncated: true }) }
    }
    return results
  }

  /** Lets the calls before it finish, then frees native memory. May be called again. */
  dispose(): Promise<void> {
    return (this.#disposed ??= this.#inTurn(async () => {
      for (const run of this.#runs.values()) await run.model.dispose()
    }))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }

  /** Starts when all calls before have settled. */
  #inTurn<T>(start: () => Promise<T>): Promise<T> {
    const result = this.#last.then(start)
    this.#last = result.catch(() => undefined)
    return result
  }

  #readInput(input: string | PredictInput, place: Place): AskedExample {
    const { task: name = this.#onlyTask(), ...values } =
      typeof input === 'string' ? { text: input, task: undefined } : (objectRow(input, place).values as PredictInput)
    const { task, record } = this.#run(name, place)
    const { fields } = taskFamily(task.kind)
    const split = fields.words && 'text' in values && typeof values.text === 'string'
    const given = split ? { tokens: values.text.split(/\s+/).filter((word) => word !== '') } : values
    const example = new ExampleMaker(fields, {}, false).make(objectRow(given, place))
    checkPairs([example], record.options.pair, `the data that "${name}" was trained on`)
    return { run: name, example }
  }

  #run(name: string, place?: Place): OpenRun {
    const run = this.#runs.get(name)
    if (run) return run
    const where = place === undefined ? '' : `${describePlace(place)}: `
    throw new OptionError(
      'ERR_OPTION',
      `${where}no run "${name}" is loaded; there are ${this.tasks.join(', ')}${hint(name, this.tasks)}`,
      { option: 'task', got: name, expected: this.tasks },
    )
  }

  #onlyTask(): string {
    const [name, ...others] = this.tasks
    if (others.length === 0) return name!
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
