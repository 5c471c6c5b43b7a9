import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { describe, packageRoot } from '../runtime/binding.js'
import { resolveDevice, type Device } from '../runtime/device.js'
import { packageVersion } from '../version.js'

/** What a result file says about where its numbers come from. */
export interface Machine {
  readonly cpu: string
  /** Instruction set of the kernels. */
  readonly isa: string
  /** Threads that the system offers to this process. */
  readonly cores: number
  /** `linux-x64` */
  readonly platform: string
  readonly node: string
  readonly version: string
  /** Of the working copy, where the package is one. */
  readonly commit?: string
  /** Day of the measurement, UTC. */
  readonly date: string
}

/** @throws {DeviceError} ERR_DEVICE where the device cannot be used */
export function describeMachine(device: Device = 'auto'): Machine {
  const commit = workingCopyCommit(packageRoot())
  return {
    cpu: describe().cpu,
    isa: resolveDevice(device).isa,
    cores: os.availableParallelism(),
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    version: packageVersion(),
    ...(commit === undefined ? {} : { commit }),
    date: new Date().toISOString().slice(0, 10),
  }
}

/** Undefined for an installed package: it may lie inside another project's repository. */
function workingCopyCommit(folder: string): string | undefined {
  if (!existsSync(join(folder, '.git'))) return undefined
  try {
    const stdio: ('ignore' | 'pipe')[] = ['ignore', 'pipe', 'ignore']
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: folder, encoding: 'utf8', stdio }).trim()
  } catch {
    return undefined
  }
}
