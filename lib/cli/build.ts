import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { packageRoot } from '../runtime/binding.js'

export function buildCommand(): Command {
  return new Command('build')
    .description('builds the native addon: where the install script did not run, or another way')
    .addOption(
      new Option('--cuda <choice>', 'kernels for GPUs: auto (where a CUDA toolkit is found), on, off').choices([
        'auto',
        'on',
        'off',
      ]),
    )
    .option('--cuda-archs <list>', 'GPU architectures, such as 80,90 (default: those of the GPUs here, else 80)')
    .action(async ({ cuda, cudaArchs }: { cuda?: string; cudaArchs?: string }) => {
      const environment = {
        ...process.env,
        ...(cuda !== undefined && { ONNX_ADAPTERS_CUDA: cuda }),
        ...(cudaArchs !== undefined && { ONNX_ADAPTERS_CUDA_ARCHS: cudaArchs }),
      }
      const code = await new Promise<number>((finish, fail) => {
        const script = join(packageRoot(), 'scripts', 'install.mjs')
        const child = spawn(process.execPath, [script, '--force'], { stdio: 'inherit', env: environment })
        child.once('error', fail)
        child.once('exit', (exit) => finish(exit ?? 1))
      })
      if (code !== 0) process.exitCode = 1
    })
}
