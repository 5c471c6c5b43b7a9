import { execFileSync } from 'node:child_process'
import os from 'node:os'
import { describe } from '../../lib/runtime/binding.js'

/** What a result file says about where its numbers come from. */
export interface Machine {
  readonly cpu: string
  readonly isa: string
  readonly cores: number
  readonly node: string
  readonly commit: string
  readonly date: string
}

export function machine(): Machine {
  const native = describe()
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    isa: process.env.ONNX_ADAPTERS_ISA ?? native.isas[0] ?? 'unknown',
    cores: os.availableParallelism(),
    node: process.version,
    commit: commit(),
    date: new Date().toISOString().slice(0, 10),
  }
}

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
