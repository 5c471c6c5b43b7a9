import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import { absentRuntime, runtimeVersion } from '../backbone/verify.js'
import { addonPath, describe } from '../runtime/binding.js'
import { packageVersion } from '../version.js'
import { print, printJson, table, type CommonOptions } from './io.js'

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('what this install can do: versions, instruction set, threads, CUDA or why not, ONNX Runtime')
    .action(async (_options: unknown, command: Command) => {
      const report = examine()
      if (command.optsWithGlobals<CommonOptions>().json) await printJson(report)
      else await print(describeReport(report))
      if (!report.addon.ok) process.exitCode = 1
    })
}

function examine() {
  return {
    version: packageVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    onnxruntime: runtimeVersion() ?? null,
    cores: availableParallelism(),
    addon: examineAddon(),
  }
}

function examineAddon() {
  try {
    const { version, isas, compiledIsas, cpu, threads, cuda } = describe()
    return { ok: true as const, file: addonPath(), version, cpu, isas, compiledIsas, threads, cuda }
  } catch (error) {
    return { ok: false as const, reason: (error as Error).message }
  }
}

function describeReport({ version, node, platform, onnxruntime, cores, addon }: ReturnType<typeof examine>): string {
  const rows: [string, string][] = [
    ['onnx-adapters', version],
    ['node', `${node}, ${platform}`],
    ['onnxruntime-node', onnxruntime ?? `${absentRuntime}: imported models cannot be checked against it`],
  ]
  if (!addon.ok) return table([...rows, ['cores', String(cores)], ['addon', addon.reason]])
  const [best, ...others] = addon.isas
  rows.push(
    ['addon', `${addon.version}, ${addon.file ?? ''}`],
    ['CPU', addon.cpu],
    ['instruction set', `${best ?? 'none'}${others.length > 0 ? ` (also ${others.join(', ')})` : ''}`],
    ['threads', `${addon.threads} of ${cores} cores`],
    ['CUDA', addon.cuda.ok ? `${addon.cuda.toolkit}: ${addon.cuda.gpus.join('; ')}` : `no: ${addon.cuda.reason}`],
  )
  return table(rows)
}
