import { basename, resolve } from 'node:path'
import type { Backbone } from '../backbone/backbone.js'
import { encodeRows } from '../data/dataset.js'
import type { Prediction as TaskPrediction } from '../data/tasks/index.js'
import { DataError, DeviceError, OptionError } from '../errors.js'
import { checkKeys, hint, show, wrongOption } from '../options.js'
import { fitRowsToModel } from '../train/model_input.js'
import { openRun, type OpenRun, type OpenRunOptions } from '../train/open_run.js'
import { forwardRows } from '../train/score.js'

export interface PredictInput {
  readonly text: string
  readonly textPair?: string
  /** Name of the run, the last part of its folder. @default the only one that is loaded */
  readonly task?: string
}

/** What a run says of a text: `label` and `scores` of a classifier. */
export interface Prediction extends TaskPrediction {
  /** Name of the run that said it. */
  readonly task: string
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
    checkKeys('Predictor.load', options, ['backbone', 'device', 'threads'])
    const list = typeof folders === 'string' ? [folders] : folders
    if (!Array.isArray(list) || list.length === 0) {
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

  /**
   * Predictions in the order of the inputs; one call may mix tasks.
   * @throws OptionError ERR_OPTION for a task that is not loaded; DataError ERR_DATA_ROW; DeviceError ERR_DISPOSED
   */
  async predict(inputs: readonly (string | PredictInput)[]): Promise<Prediction[]> {
    if (this.#disposed) throw new DeviceError('ERR_DISPOSED', 'the predictor has been disposed and cannot be used')
    if (!Array.isArray(inputs)) throw wrongOption('inputs', 'a list of texts, or of { text, textPair, task }', inputs)
    const rows = inputs.map((input: string | PredictInput, i) => this.#readInput(input, i))
    return this.#inTurn(() => this.#judge(rows))
  }

  async #judge(rows: readonly (PredictInput & { task: string })[]): Promise<Prediction[]> {
    const results = new Array<Prediction>(rows.length)
    for (const [name, run] of this.#runs) {
      const chosen = rows.flatMap((row, i) => (row.task === name ? [i] : []))
      if (chosen.length === 0) continue
      const tokenizer = await run.backbone.tokenizer()
      const encoded = await encodeRows(
        chosen.map((i) => rows[i]!),
        tokenizer,
        run.record.options.maxLength,
      )
      const outputs = await forwardRows(run.model, fitRowsToModel(encoded, run.backbone))
      for (const [k, i] of chosen.entries()) results[i] = { task: name, ...run.task.predict(outputs[k]!) }
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

  #readInput(input: string | PredictInput, index: number): PredictInput & { task: string } {
    const {
      text,
      textPair,
      task = this.#onlyTask(),
    } = typeof input === 'string' ? ({ text: input } as PredictInput) : (input ?? {})
    if (typeof text !== 'string' || (textPair !== undefined && typeof textPair !== 'string')) {
      throw new DataError(
        'ERR_DATA_ROW',
        `row ${index + 1}: expected a text or { text, textPair, task }, got ${show(input)}`,
        { row: index + 1 },
      )
    }
    if (!this.#runs.has(task)) {
      throw new OptionError(
        'ERR_OPTION',
        `row ${index + 1}: no run "${task}" is loaded; there are ${this.tasks.join(', ')}${hint(task, this.tasks)}`,
        {
          option: 'task',
          got: task,
          expected: this.tasks,
        },
      )
    }
    const { pair } = this.#runs.get(task)!.record.options
    if (pair !== (textPair !== undefined)) {
      const expected = pair ? 'two texts, text and textPair' : 'one text'
      throw new DataError(
        'ERR_DATA_ROW',
        `row ${index + 1}: the run "${task}" reads ${expected}, got ${pair ? 'one' : 'two'}`,
        {
          row: index + 1,
          field: 'textPair',
          expected,
        },
      )
    }
    return { text, textPair, task }
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
