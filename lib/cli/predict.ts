import { Command } from 'commander'
import type { Columns, Place, TextInput, WordsInput } from '../data/example.js'
import type { Fields } from '../data/fields.js'
import { dataFiles, isDataFile, readExamples } from '../data/readers/index.js'
import { cutLines, readLines } from '../data/readers/lines.js'
import { taskFamily } from '../data/tasks/index.js'
import { OptionError } from '../errors.js'
import { Predictor, type Prediction } from '../predict/predictor.js'
import type { Device } from '../runtime/device.js'
import { precisions, type Precision } from '../runtime/precision.js'
import * as parse from './arguments.js'
import { log, print, type CommonOptions } from './io.js'
import { splitArguments } from './runs_and_texts.js'

interface PredictFlags {
  readonly input?: string
  readonly textColumn?: string
  readonly textPairColumn?: string
  readonly backbone?: string
  readonly device?: Device
  readonly precision?: Precision
  readonly threads?: number
}

/** Rows that are predicted, and printed, at a time. */
const rowsAtOnce = 256

export function predictCommand(): Command {
  return new Command('predict')
    .description('labels, values or tags of texts; several runs of one backbone may be named')
    .argument('<run...>', 'output folders of train, then texts')
    .option('--input <file>', `texts: ${dataFiles}; or one a line, a tab before a second text; - for standard input`)
    .option('--text-column <name>', 'column of the text, where it has not a usual name')
    .option('--text-pair-column <name>', 'column of the second text')
    .option('--backbone <path>', 'where the backbone lies now')
    .option('--device <name>', 'auto, cpu, cuda (default: auto)')
    .option('--precision <name>', `${precisions.join(', ')} (default: auto)`)
    .option('--threads <n>', '(default: all)', parse.number)
    .action(async (words: string[], flags: PredictFlags, command: Command) => {
      const { json = false, quiet = false } = command.optsWithGlobals<CommonOptions>()
      const { input, textColumn, textPairColumn, backbone, device, precision, threads } = flags
      const { runs, texts, doubts } = splitArguments(words, input)
      await using predictor = await Predictor.load(runs, { backbone, device, precision, threads })
      const warnings = [...doubts, ...predictor.warnings.map(({ message }) => message)]
      if (!quiet) for (const warning of warnings) log(`warning: ${warning}`)
      const columns = { text: textColumn, textPair: textPairColumn }
      const rows = input === undefined ? fromList(texts) : readInput(input, columns, predictor)
      let cut = 0
      const { tasks } = predictor
      for await (const group of groups(rows)) {
        const asked = group.flatMap((row) => tasks.map((task) => ({ ...row, task })))
        const inputs = asked.map(({ input, task }) => ({ ...input, task }))
        const predictions = await predictor.predict(inputs, { places: asked.map(({ place }) => place) })
        for (const [i, prediction] of predictions.entries())
          await print(describeRow(asked[i]!, prediction, json, tasks.length > 1))
        cut += predictions.filter(({ truncated }) => truncated).length
      }
      if (cut > 0 && !quiet) log(`warning: ${cut} texts were cut to the length of training`)
    })
}

/** A row to predict, a text, two texts, or words, never with a label; and where it is from. */
interface Row {
  readonly input: TextInput | WordsInput
  readonly place: Place
}

async function* fromList(texts: readonly string[]): AsyncGenerator<Row> {
  for (const [i, text] of texts.entries()) yield { input: { text }, place: { row: i + 1, part: `text ${i + 1}` } }
}

async function* readInput(file: string, columns: Columns, predictor: Predictor): AsyncGenerator<Row> {
  if (isDataFile(file)) {
    const fields = commonFields(predictor)
    for (const { text, textPair, words, place } of await readExamples(file, { fields, columns, needsLabel: false }))
      yield { input: words ? { tokens: words } : { text, textPair }, place }
    return
  }
  const [lines, name] = file === '-' ? [cutLines(process.stdin, standardInput), standardInput] : [readLines(file), file]
  let row = 0
  for await (const line of lines) {
    const [text = '', textPair] = line.split('\t')
    yield { input: { text, textPair }, place: { file: name, row: ++row } }
  }
}

/** Its name in messages. */
const standardInput = 'standard input'

/** The columns that all runs read. @throws OptionError ERR_OPTION where they read different ones */
function commonFields(predictor: Predictor): Fields {
  const [first = '', ...others] = predictor.tasks
  const fieldsOf = (task: string) => taskFamily(predictor.kind(task)).fields
  const other = others.find((task) => fieldsOf(task) !== fieldsOf(first))
  if (other === undefined) return fieldsOf(first)
  const kinds = [first, other].map((task) => `"${task}" (${predictor.kind(task)})`).join(' and ')
  throw new OptionError(
    'ERR_OPTION',
    `predict: ${kinds} read different columns of a data file: predict with each of them by itself`,
    { option: 'input', expected: 'runs of one kind' },
  )
}

async function* groups(rows: AsyncIterable<Row>): AsyncGenerator<Row[]> {
  let group: Row[] = []
  for await (const row of rows) {
    group.push(row)
    if (group.length === rowsAtOnce) {
      yield group
      group = []
    }
  }
  if (group.length > 0) yield group
}

function describeRow({ input }: Row, prediction: Prediction, json: boolean, named: boolean): string {
  if (json) return JSON.stringify({ ...input, ...prediction })
  const texts =
    'tokens' in input ? [input.tokens.join(' ')] : [input.text, prediction.span ? undefined : input.textPair]
  const fields = [named ? prediction.task : undefined, ...describePrediction(prediction), ...texts]
  // Tabs and line ends within a text would look like other columns and rows.
  return fields.flatMap((field) => (field === undefined ? [] : [field.replace(/[\t\r\n]+/g, ' ')])).join('\t')
}

/** The columns of a prediction, by what it holds. */
function describePrediction({ label, labels, scores = {}, value, span, tags }: Prediction): string[] {
  const score = (name: string) => scores[name]!.toFixed(4)
  if (label !== undefined) return [label, score(label)]
  if (labels) return [labels.map((name) => `${name} ${score(name)}`).join(', ') || '(none)']
  if (value !== undefined) return [value.toFixed(4)]
  if (span) return [span.text || '(none)', span.score.toFixed(4), `${span.start}-${span.end}`]
  return [(tags ?? []).join(' ')]
}
