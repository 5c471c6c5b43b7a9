import { Command } from 'commander'
import { trainableParts } from '../adapters/trainable.js'
import { dataFiles } from '../data/readers/index.js'
import { taskKinds } from '../kinds.js'
import type { ProgressEvent } from '../train/progress.js'
import { train, type TrainResult } from '../train/train.js'
import { OptionError } from '../errors.js'
import { precisions } from '../runtime/precision.js'
import { resolveTrainOptions, trainOptionNames, type TrainOptions } from '../train/train_options.js'
import * as parse from './arguments.js'
import { toOptions } from './flags.js'
import { bringWithProgress } from './fetch_progress.js'
import { count, log, print, printJson, table, type CommonOptions } from './io.js'
import { Interrupted, listenForInterrupts, resumeCommand } from './interrupt.js'
import { showProgress } from './progress.js'

/** Flags as commander gives them; `adapter` is false by `--no-adapter`. */
interface TrainFlags {
  readonly backbone: string
  readonly output: string
  readonly adapter: boolean
  readonly [option: string]: unknown
}

export function trainCommand(): Command {
  return new Command('train')
    .description('trains adapters for a task on a frozen backbone')
    .requiredOption(
      '--backbone <path>',
      'a folder with model.onnx and tokenizer.json, an .onnx file, or a name such as all-MiniLM-L6-v2',
    )
    .requiredOption('--train <file>', `training data: ${dataFiles}`)
    .option('--validation <file>', 'data that picks the best epoch')
    .requiredOption('--output <folder>', 'where the run goes')
    .option('--task <kind>', `${taskKinds.join(', ')} (default: classification)`)
    .option('--labels <names>', 'classes, labels or tags in order (default: found in the data, sorted)', parse.list)
    .option('--positive-label <name>', 'the class whose F1 counts (default: the mean of all classes)')
    .option('--label-separator <text>', 'between the labels of a multilabel row in TSV and CSV (default: ,)')
    .option('--max-answer-tokens <n>', 'longest answer of a span task (default: 30)', parse.number)
    .option('--stride <n>', 'tokens from window to window of a long context (default: 128, or less)', parse.number)
    .option('--text-column <name>', 'column of the text')
    .option('--text-pair-column <name>', 'column of the second text')
    .option('--label-column <name>', 'column of the label')
    .option('--preset <name>', 'houlsby2019, adapter-bert')
    .option('--adapter-size <n>', 'bottleneck width (default: 64)', parse.number)
    .option('--adapter-activation <name>', 'gelu_tanh, gelu, relu, silu, tanh (default: gelu_tanh)')
    .option('--adapter-initial-std <x>', 'standard deviation of the first weights (default: 1e-2)', parse.number)
    .option('--adapter-layers <list>', 'layers that get adapters (default: all)', parse.layers)
    .option('--no-adapter', 'train without adapters')
    .option(
      '--trainable <parts>',
      `subset of ${trainableParts.join(',').toLowerCase()}; or all, or top-K`,
      parse.trainable,
    )
    .option('--pool <kind>', 'cls, mean, pooler (default: cls)')
    .option('--epochs <n>', '(default: 3)', parse.number)
    .option('--batch-size <n>', 'rows a step (default: 32)', parse.number)
    .option('--learning-rate <x>', 'peak rate (default: 1e-3)', parse.number)
    .option('--warmup <share>', 'share of the steps that warm up (default: 0.1)', parse.number)
    .option('--schedule <name>', 'linear, adapter-bert (default: linear)')
    .option('--weight-decay <x>', 'decoupled, on matrices only (default: 0.01)', parse.number)
    .option('--clip-norm <x>', 'largest norm of the gradients, 0 for none (default: 1)', parse.number)
    .option('--dropout <p>', 'one number, or hidden=..,attention=..,head=.. (default: 0.1)', parse.dropout)
    .option('--max-length <n>', 'tokens a row may have; longer rows are cut (default: 128)', parse.number)
    .option('--seed <n>', 'the same seed gives the same run (default: 0)', parse.number)
    .option('--device <name>', 'auto, cpu, cuda (default: auto)')
    .option('--precision <name>', `${precisions.join(', ')} (default: auto)`)
    .option('--threads <n>', '(default: all)', parse.number)
    .option('--metric <name>', "picks the best epoch (default: the task's)")
    .option('--early-stopping <n>', 'stop after n epochs without a better one', parse.number)
    .option('--train-rows <n>', 'use the first n rows only', parse.number)
    .option('--overwrite', 'replace a run in the output folder')
    .option('--resume', 'go on with the run in the output folder from its last checkpoint')
    .option(
      '--checkpoint-steps <n>',
      'a checkpoint every n steps, 0 for after epochs only (default: about one a minute)',
      parse.number,
    )
    .addHelpText('after', afterHelp)
    .action(run)
}

const afterHelp = `
Ctrl-C (or SIGTERM) finishes the step, writes a checkpoint and says how to go on: exit code 130 (143). A second one ends
at once, and the last checkpoint stays. Exit 1: the work failed, 2: wrong usage. With --resume, backbone, data and options
must be those of then; --output, --threads, --device, --precision and --checkpoint-steps may be others.`

async function run(flags: TrainFlags, command: Command): Promise<void> {
  const { json = false, quiet = false } = command.optsWithGlobals<CommonOptions>()
  const options = toTrainOptions(flags)
  // Wrong options are worth no download.
  resolveTrainOptions(options)
  await bringWithProgress(flags.backbone, quiet)
  const progress = showProgress(quiet)
  const interrupts = listenForInterrupts(progress)
  /** Steps that are on disk. */
  let kept: number | undefined
  const onProgress = (event: ProgressEvent) => {
    if (event.kind === 'checkpoint' || (event.kind === 'start' && event.step > 0)) kept = event.step
    progress.listener(event)
  }
  try {
    const result = await train({ ...options, signal: interrupts.signal, onProgress })
    progress.stop()
    if (json) await printJson(result)
    else await print(describeResult(result))
  } catch (error) {
    progress.stop()
    if (!(error instanceof Interrupted)) throw error
    log(describeInterrupt(flags.output, kept))
    process.exitCode = error.exitCode
  } finally {
    interrupts.stop()
  }
}

function describeInterrupt(output: string, kept: number | undefined): string {
  if (kept === undefined) return 'interrupted before the first step: nothing has changed'
  const command = resumeCommand(process.argv.slice(2), process.argv[1] ?? '')
  return `interrupted: ${output} holds ${describeKept(kept)}. Go on with:\n  ${command}`
}

/** @param steps that are on disk */
export function describeKept(steps: number): string {
  if (steps === 0) return 'the start of a training, before its first step'
  return steps === 1 ? 'the one step done so far' : `all ${count(steps)} steps done so far`
}

/** What train() takes of the flags; values are checked there, so types are only asserted here. */
function toTrainOptions({ adapter, ...flags }: TrainFlags): TrainOptions {
  const given = toOptions({ task: 'classification', ...flags })
  const named = Object.fromEntries(trainOptionNames.map((name) => [name, given[name]]))
  const options = named as unknown as TrainOptions
  if (adapter) return options
  if (options.adapter) throw contradiction(Object.keys(options.adapter))
  return { ...options, adapter: false }
}

/** `--no-adapter` leaves nothing that other flags of adapters could say. */
function contradiction(parts: readonly string[]): OptionError {
  const names = parts.map((part) => `option "adapter.${part}"`).join(', ')
  const message = `--no-adapter and ${names} contradict each other: leave one of them out`
  return new OptionError('ERR_OPTION', message, { option: 'adapter', got: false, expected: 'one of both' })
}

function describeResult({ output, best, parameters, throughput }: TrainResult): string {
  const metrics = Object.entries(best.metrics).map(([name, value]): [string, string] => [name, value.toFixed(4)])
  return table([
    ['best epoch', String(best.epoch)],
    ...metrics,
    [
      'trained parameters',
      `${count(parameters.trained)} of ${count(parameters.total)} (${(100 * parameters.share).toFixed(2)} %)`,
    ],
    [
      'speed',
      `${count(Math.round(throughput.tokensPerSecond))} tokens/s, ${throughput.rowsPerSecond.toFixed(1)} rows/s`,
    ],
    ['output', output],
  ])
}
