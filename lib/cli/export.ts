import { Command } from 'commander'
import { exportRun, type ExportResult } from '../export/export.js'
import { exportTargets } from '../export/index.js'
import type { ExportOptions } from '../export/options.js'
import * as parse from './arguments.js'
import { log, print, printJson, table, type CommonOptions } from './io.js'

interface ExportFlags extends Omit<ExportOptions, 'backbone'> {
  readonly backbone?: string
}

export function exportCommand(): Command {
  const targets = exportTargets.map(({ name, description }) => `  ${name.padEnd(16)} ${description}`)
  return new Command('export')
    .description('takes a run elsewhere: into a model or folder for other programs')
    .argument('<run...>', 'output folder of train; for some targets several, of one backbone')
    .requiredOption('--to <target>', exportTargets.map(({ name }) => name).join(', '))
    .requiredOption('--output <path>', 'the file or folder to write')
    .option('--overwrite', 'replace what is there')
    .option('--mixed', 'onnx-inputs: tensors stacked by tasks, of which each row picks one')
    .option('--no-verify', 'do not compare the result with the engine')
    .option('--backbone <path>', 'where its backbone lies now')
    .option('--device <name>', 'auto, cpu, cuda (default: auto)')
    .option('--threads <n>', '(default: all)', parse.number)
    .addHelpText('after', `\nTargets:\n${targets.join('\n')}`)
    .action(async (runs: string[], flags: ExportFlags, command: Command) => {
      const { json = false, quiet = false } = command.optsWithGlobals<CommonOptions>()
      const { to, output, overwrite, verify, mixed, backbone, device, threads } = flags
      const result = await exportRun(runs, { to, output, overwrite, verify, mixed, backbone, device, threads })
      if (!quiet) for (const { message } of result.warnings) log(`warning: ${message}`)
      if (json) await printJson(result)
      else await print(describeResult(result))
    })
}

function describeResult({ to, files, maxAbsDifference }: ExportResult): string {
  return table([
    ['exported to', to],
    ...files.map((file, i): [string, string] => [i === 0 ? 'files' : '', file]),
    [
      'difference',
      maxAbsDifference === undefined ? 'not compared' : `${maxAbsDifference.toExponential(1)} from the engine at most`,
    ],
  ])
}
