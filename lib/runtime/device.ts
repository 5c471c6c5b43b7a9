/** Which device and which instruction set a session runs on. */
import { availableParallelism } from 'node:os'

import { DeviceError } from '../errors.js'
import { checkChoice, checkNumber, hint } from '../options.js'
import { describe } from './binding.js'
import type { NativeDescription } from './native-types.js'

export const devices = ['auto', 'cpu', 'cuda'] as const
export type Device = (typeof devices)[number]

export interface ResolvedDevice {
  readonly kind: 'cpu'
  /** Instruction set of the CPU kernels: `avx512`, `avx2`, `neon` or `scalar`. */
  readonly isa: string
  /** In words, for logs: `cpu (avx2, AMD EPYC 7B13)`. */
  readonly description: string
}

/**
 * Chooses: `auto` takes what this install has, `cpu` and `cuda` insist. ONNX_ADAPTERS_ISA forces an instruction set.
 * @throws OptionError ERR_OPTION for an unknown name; DeviceError ERR_DEVICE where the device cannot be used, with the
 * reason; DeviceError ERR_ADDON
 */
export function resolveDevice(device: Device = 'auto', description: NativeDescription = describe()): ResolvedDevice {
  const kind = checkChoice('device', device, devices)
  switch (kind) {
    case 'auto':
    case 'cpu': {
      const isa = chooseIsa(description, process.env['ONNX_ADAPTERS_ISA'])
      return { kind: 'cpu', isa, description: `cpu (${isa}, ${description.cpu})` }
    }
    case 'cuda':
      throw new DeviceError('ERR_DEVICE', `device 'cuda' cannot be used: ${description.cuda.reason}`, {
        device,
        reason: description.cuda.reason,
      })
    default:
      return kind satisfies never
  }
}

/**
 * The number of threads of a session.
 * @param threads as the user gave it: a whole number from 1 to 1024. @default what the system offers
 * @throws OptionError ERR_OPTION
 */
export function resolveThreads(threads?: number): number {
  if (threads === undefined) return availableParallelism()
  return checkNumber('threads', threads, { least: 1, most: 1024, integer: true })
}

function chooseIsa(description: NativeDescription, forced: string | undefined): string {
  const [best] = description.isas
  if (!forced) {
    if (best === undefined) throw new DeviceError('ERR_DEVICE', 'the addon holds no kernels for this CPU')
    return best
  }
  if (description.isas.includes(forced)) return forced
  const reason = description.compiledIsas.includes(forced)
    ? `this CPU (${description.cpu}) lacks it`
    : `the addon was compiled with ${description.compiledIsas.join(', ')}${hint(forced, description.compiledIsas)}`
  throw new DeviceError('ERR_DEVICE', `ONNX_ADAPTERS_ISA=${forced} cannot be used: ${reason}`, {
    isa: forced,
    reason,
    expected: description.isas,
  })
}
