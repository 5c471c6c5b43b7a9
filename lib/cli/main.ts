#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { packageVersion } from '../version.js'
import { benchCommand } from './bench.js'
import { buildCommand } from './build.js'
import { doctorCommand } from './doctor.js'
import { evaluateCommand } from './evaluate.js'
import { exportCommand } from './export.js'
import { fetchCommand } from './fetch.js'
import { describeUnknown, flagsOf } from './flags.js'
import { inspectCommand } from './inspect.js'
import { nameOptionsBy, reportError, watchStreams, type CommonOptions } from './io.js'
import { predictCommand } from './predict.js'
import { trainCommand } from './train.js'

const commands = [
  doctorCommand,
  buildCommand,
  fetchCommand,
  inspectCommand,
  trainCommand,
  evaluateCommand,
  predictCommand,
  benchCommand,
  exportCommand,
]

function program(): Command {
  const root = new Command('onnx-adapters')
    .description('Train small task adapters on one frozen BERT, from Node.js, natively on the CPU, reading plain ONNX.')
    .version(packageVersion())
  withCommonOptions(root)
  for (const make of commands) root.addCommand(withCommonOptions(make()))
  // Commands throw instead of ending the process, so that every way out is the one below.
  for (const command of [root, ...root.commands]) {
    command.exitOverride().showHelpAfterError('(--help says more)')
    command.configureOutput({
      outputError: (text, write) => write(describeUnknown(text, command, root.commands)),
    })
  }
  return root
}

/** The program has them and every command: they may stand before a command or after it. */
function withCommonOptions(command: Command): Command {
  return command
    .option('--json', 'results for programs')
    .option('--quiet', 'no progress and no warnings')
    .option('--debug', 'stack traces of errors')
}

/** Exit 0: success; 1: the work failed; 2: wrong usage. */
async function main(): Promise<void> {
  watchStreams()
  const root = program()
  // All commands' flags, since an advice may be to use another command; its own before theirs.
  root.hook('preAction', (_, command) => nameOptionsBy(flagsOf([...root.commands, command])))
  try {
    await root.parseAsync()
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2
      return
    }
    const debug = [root, ...root.commands].some((command) => command.opts<CommonOptions>().debug)
    process.exitCode = reportError(error, debug)
  }
}

await main()
