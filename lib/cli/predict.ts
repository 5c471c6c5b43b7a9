import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { readExamples } from '../data/readers/index.js'
import { readLines } from '../data/readers/lines.js'
import { OptionError } from '../errors.js'
import { Predictor, type Prediction, type PredictInput } from '../predict/predictor.js'
import type { Device } from '../runtime/device.js'
import { runFiles } from '../train/run.js'
import * as parse from './arguments.js'
import { print, type CommonOptions } from './io.js'

interface PredictFlags {
  readonly input?: string
  readonly backbone?: string
  readonly device?: Device
  readonly threads?: number
}

/** Rows that are predicted, and printed, at a time. */
const rowsAtOnce = 256

export function predictCommand(): Command {
  return new Command('predict')
    .description('labels and scores of texts; several runs of one backbone may be named')
    .argument('<run...>', 'output folders of train, then texts')
    .option(
      '--input <file>',
      'texts: one a line (a tab before a second text), or TSV with a header; - for standard input',
    )
    .option('--backbone <path>', 'where the backbone lies now')
    .option('--device <name>', 'auto, cpu, cuda (default: auto)')
    .option('--threads <n>', '(default: all)', parse.number)
    .action(async (words: string[], flags: PredictFlags, command: Command) => {
      const { json = false } = command.optsWithGlobals<CommonOptions>()
      const { input, backbone, device, threads } = flags
      const { runs, texts } = splitArguments(words, input !== undefined)
      await using predictor = await Predictor.load(runs, { backbone, device, threads })
      const rows = input === undefined ? fromList(texts) : readInput(input)
      for await (const inputs of groups(rows)) {
        const asked = inputs.flatMap((row) => predictor.tasks.map((task) => ({ ...row, task })))
        const predictions = await predictor.predict(asked)
        for (const [i, prediction] of predictions.entries())
          await print(describeRow(asked[i]!, prediction, json, predictor.tasks.length > 1))
      }
    })
}

/** Leading arguments that are folders of runs, then texts. The first one must be a run: its absence is told in loading. */
function splitArguments(words: readonly string[], onlyRuns: boolean): { runs: string[]; texts: string[] } {
  const isRun = (word: string) => existsSync(join(word, runFiles.record))
  const end = onlyRuns
    ? words.length
    : Math.max(
        1,
        words.findIndex((word) => !isRun(word)),
      )
  const runs = words.every(isRun) ? [...words] : words.slice(0, end)
  const texts = words.slice(runs.length)
  if (texts.length === 0 && !onlyRuns) {
    throw new OptionError('ERR_OPTION', 'predict: no texts: give them after the run, or --input', { option: 'input' })
  }
  return { runs, texts }
}

async function* fromList(texts: readonly string[]): AsyncGenerator<PredictInput> {
  for (const text of texts) yield { text }
}

async function* readInput(file: string): AsyncGenerator<PredictInput> {
  if (/\.tsv(\.gz)?$/i.test(file)) {
    for (const { text, textPair } of await readExamples(file, { needsLabel: false })) yield { text, textPair }
    return
  }
  const lines = file === '-' ? createInterface({ input: process.stdin, crlfDelay: Infinity }) : readLines(file)
  for await (const line of lines) {
    const [text = '', textPair] = line.split('\t')
    yield { text, textPair }
  }
}

async function* groups(rows: AsyncIterable<PredictInput>): AsyncGenerator<PredictInput[]> {
  let group: PredictInput[] = []
  for await (const row of rows) {
    group.push(row)
    if (group.length === rowsAtOnce) {
      yield group
      group = []
    }
  }
  if (group.length > 0) yield group
}

function describeRow({ text, textPair }: PredictInput, prediction: Prediction, json: boolean, named: boolean): string {
  if (json) return JSON.stringify({ text, textPair, ...prediction })
  const { task, label, scores } = prediction
  const score = label === undefined ? undefined : scores?.[label]
  const fields = [named ? task : undefined, label, score?.toFixed(4), text, textPair]
  return fields.filter((field) => field !== undefined).join('\t')
}
