import { Command } from 'commander'
import { importAdapter } from '../import/import.js'
import { importSources } from '../import/index.js'
import type { Device } from '../runtime/device.js'
import * as parse from './arguments.js'
import { count, log, print, printJson, table, type CommonOptions } from './io.js'

interface ImportFlags {
  readonly from: string
  readonly backbone: string
  readonly output: string
  readonly overwrite?: boolean
  readonly labels?: readonly string[]
  readonly maxLength?: number
  readonly pair?: boolean
  readonly anyBackbone?: boolean
  readonly device?: Device
  readonly threads?: number
}

export function importCommand(): Command {
  const sources = importSources.map(({ name, description }) => `  ${name.padEnd(16)} ${description}`)
  return new Command('import')
    .description('brings in an adapter that another library has trained, as a run')
    .argument('<path>', 'its folder or file')
    .requiredOption('--from <library>', importSources.map(({ name }) => name).join(', '))
    .requiredOption('--backbone <path>', 'the backbone that it is for: a folder, an .onnx file or a name')
    .requiredOption('--output <folder>', 'the folder of the run to make')
    .option('--overwrite', 'replace what is there')
    .option('--labels <names>', 'names of the outputs in their order, where the files have none', parse.list)
    .option('--max-length <n>', 'tokens a row may have', parse.number)
    .option('--pair', 'a row is two texts')
    .option('--any-backbone', 'take it although it was exported from another backbone file')
    .option('--device <name>', 'auto, cpu, cuda (default: auto)')
    .option('--threads <n>', '(default: all)', parse.number)
    .addHelpText('after', `\nLibraries:\n${sources.join('\n')}`)
    .action(async (path: string, flags: ImportFlags, command: Command) => {
      const { json = false, quiet = false } = command.optsWithGlobals<CommonOptions>()
      const { from, backbone, output, overwrite, labels, maxLength, pair, anyBackbone, device, threads } = flags
      const given = { from, backbone, output, overwrite, labels, maxLength, pair, anyBackbone, device, threads }
      const result = await importAdapter(path, given)
      if (!quiet) for (const { message } of result.warnings) log(`warning: ${message}`)
      if (json) return printJson(result)
      await print(
        table([
          ['imported', result.name],
          ['task', result.task],
          ['parameters', count(result.parameters)],
          ['run', result.output],
        ]),
      )
    })
}
