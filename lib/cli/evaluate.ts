import { Command } from 'commander'
import { dataFiles } from '../data/readers/index.js'
import type { Device } from '../runtime/device.js'
import { precisions, type Precision } from '../runtime/precision.js'
import { evaluate } from '../train/evaluate.js'
import * as parse from './arguments.js'
import { count, log, print, printJson, table, type CommonOptions } from './io.js'

interface EvaluateFlags {
  readonly data: string
  readonly backbone?: string
  readonly device?: Device
  readonly precision?: Precision
  readonly threads?: number
  readonly textColumn?: string
  readonly textPairColumn?: string
  readonly labelColumn?: string
}

export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('loss and metrics of a run on labelled data')
    .argument('<run>', 'output folder of train')
    .requiredOption('--data <file>', `labelled data: ${dataFiles}`)
    .option('--backbone <path>', 'where its backbone lies now')
    .option('--text-column <name>', 'column of the text')
    .option('--text-pair-column <name>', 'column of the second text')
    .option('--label-column <name>', 'column of the label')
    .option('--device <name>', 'auto, cpu, cuda (default: auto)')
    .option('--precision <name>', `${precisions.join(', ')} (default: auto)`)
    .option('--threads <n>', '(default: all)', parse.number)
    .action(async (run: string, flags: EvaluateFlags, command: Command) => {
      const { json = false, quiet = false } = command.optsWithGlobals<CommonOptions>()
      const { data, backbone, device, precision, threads, textColumn, textPairColumn, labelColumn } = flags
      const columns = { text: textColumn, textPair: textPairColumn, label: labelColumn }
      const result = await evaluate({ run, data, columns, backbone, device, precision, threads })
      const { metrics, rows, loss, truncated, warnings } = result
      if (!quiet) for (const { message } of warnings) log(`warning: ${message}`)
      if (truncated > 0 && !quiet) log(`warning: ${truncated} of ${rows} rows were cut to the length of training`)
      if (json) await printJson({ metrics, rows, loss })
      else {
        const values = Object.entries(metrics).map(([name, value]): [string, string] => [name, value.toFixed(4)])
        await print(table([...values, ['loss', loss.toFixed(4)], ['rows', count(rows)]]))
      }
    })
}
