import { checkPairs, makeDataset } from '../data/dataset.js'
import type { Columns, DataSource } from '../data/example.js'
import { readExamples } from '../data/readers/index.js'
import { taskFamily } from '../data/tasks/index.js'
import { checkKeys, wrongOption } from '../options.js'
import { checkColumns, checkSignal, checkSource } from './data_options.js'
import { fitRowsToModel } from './model_input.js'
import { openRun, type OpenRunOptions } from './open_run.js'
import type { Warning } from './progress.js'
import { scoreRows } from './score.js'

/** Options of `evaluate()`. */
export interface EvaluateOptions extends OpenRunOptions {
  /** Folder of the run. */
  readonly run: string
  /** A file (TSV, CSV, JSON Lines, CoNLL, SQuAD; .gz too), or rows. */
  readonly data: DataSource
  /** Names of the columns, where they are not the usual ones. */
  readonly columns?: Columns
  readonly signal?: AbortSignal
}

export interface Evaluation {
  readonly metrics: Readonly<Record<string, number>>
  readonly rows: number
  /** Mean loss over the rows. */
  readonly loss: number
  /** Rows that were cut to the length of training. */
  readonly truncated: number
  /** WARN_RUN_UNFINISHED where the training is not at its end; mostly none. */
  readonly warnings: readonly Warning[]
}

/**
 * Loss and metrics of a run on labelled data.
 * @throws OptionError, RunError, DataError, OnnxImportError, DeviceError
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  checkKeys('evaluate', options, ['run', 'data', 'columns', 'signal', 'backbone', 'device', 'precision', 'threads'])
  const { run, data, columns, signal, backbone, device, precision, threads } = options
  if (typeof run !== 'string' || run === '') throw wrongOption('run', 'the folder of a run', run)
  checkSource('data', data)
  checkColumns(columns)
  checkSignal(signal)
  const {
    record,
    task,
    backbone: loaded,
    model,
    warnings,
  } = await openRun(run, { backbone, device, precision, threads })
  try {
    const examples = await readExamples(data, { columns, fields: taskFamily(task.kind).fields })
    checkPairs(examples, record.options.pair, 'the data it was trained on')
    const dataset = await makeDataset(examples, task, await loaded.tokenizer(), record.options.maxLength)
    const { metrics, loss } = await scoreRows(model, task, fitRowsToModel(dataset, loaded), signal)
    return { metrics, rows: examples.length, loss, truncated: dataset.truncated, warnings }
  } finally {
    await model.dispose()
  }
}
