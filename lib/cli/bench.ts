import { access, constants } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { Command } from 'commander'
import { bench, resolveBenchOptions, type BenchOptions, type BenchProgress } from '../bench/bench.js'
import { shapes } from '../bench/encoder.js'
import { resultJson } from '../bench/json.js'
import { printBenchReport } from '../bench/print.js'
import { defaultWorkloads, workloadNames } from '../bench/workload.js'
import { OptionError } from '../errors.js'
import { writeAtomic } from '../formats/atomic.js'
import * as parse from './arguments.js'
import { bringWithProgress } from './fetch_progress.js'
import { count, log, print, printJson, type CommonOptions } from './io.js'

interface BenchFlags extends Omit<BenchOptions, 'backbone' | 'signal' | 'onProgress'> {
  readonly backbone?: string
  readonly output?: string
}

export function benchCommand(): Command {
  return new Command('bench')
    .description('training and inference speed per adapter size, where the time goes, and memory')
    .option('--backbone <path>', 'a folder with model.onnx, an .onnx file, or a name (default: random weights)')
    .option('--shape <name>', `of the random weights: ${Object.keys(shapes).join(', ')} (default: minilm)`)
    .option('--sizes <list>', 'adapter sizes (default: 1,8,64,256)', numbers)
    .option('--modes <list>', 'adapters, full, top-K, layernorm, head (default: all, top-1)', parse.list)
    .option('--workloads <list>', `${workloadNames.join(', ')} (default: ${defaultWorkloads.join(', ')})`, parse.list)
    .option('--batch-size <n>', 'rows a step (default: 32)', parse.number)
    .option('--seconds <s>', 'of training, and of inference, for each line of the table (default: 3)', parse.number)
    .option('--rounds <n>', 'turns that these seconds are cut into (default: 3)', parse.number)
    .option('--device <name>', 'auto, cpu, cuda (default: auto)')
    .option('--threads <n>', '(default: all)', parse.number)
    .option('--output <file>', 'write the results there, as JSON')
    .action(run)
}

function numbers(text: string): number[] {
  return parse.list(text).map(parse.number)
}

async function run(flags: BenchFlags, command: Command): Promise<void> {
  const { json = false, quiet = false } = command.optsWithGlobals<CommonOptions>()
  const { backbone, shape, sizes, modes, workloads, batchSize, seconds, rounds, device, threads, output } = flags
  const given = { backbone, shape, sizes, modes, workloads, batchSize, seconds, rounds, device, threads }
  if (output !== undefined) await checkWritable(output)
  const options: BenchOptions = {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...(quiet ? {} : { onProgress: tell }),
  }
  // Here too, so that nothing is downloaded for options that are wrong.
  resolveBenchOptions(options)
  if (backbone !== undefined) await bringWithProgress(backbone, quiet)
  const report = await bench(options)
  if (output !== undefined) await writeAtomic(resolve(output), resultJson(report))
  if (json) await printJson(report)
  else await print(printBenchReport(report))
}

/** Before minutes of work, not after. */
async function checkWritable(file: string): Promise<void> {
  const folder = dirname(resolve(file))
  try {
    await access(folder, constants.W_OK)
  } catch (cause) {
    throw new OptionError(
      'ERR_OPTION',
      `option "output": nothing can be written into ${folder}: ${(cause as Error).message}`,
      { option: 'output', got: file },
      { cause },
    )
  }
}

function tell({ done, total, variant, workload, tokensPerSecond }: BenchProgress): void {
  log(`${done}/${total}  ${workload}, ${variant}: ${count(Math.round(tokensPerSecond))} tokens/s`)
}
