import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Command } from 'commander'
import { packageRoot } from '../runtime/binding.js'

export function buildCommand(): Command {
  return new Command('build')
    .description('builds the native addon where the install script did not run')
    .action(async () => {
      const code = await new Promise<number>((finish, fail) => {
        const script = join(packageRoot(), 'scripts', 'install.mjs')
        const child = spawn(process.execPath, [script, '--force'], { stdio: 'inherit' })
        child.once('error', fail)
        child.once('exit', (exit) => finish(exit ?? 1))
      })
      if (code !== 0) process.exitCode = 1
    })
}
