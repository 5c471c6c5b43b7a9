/** Which device a session runs on, with which instruction set and in which precision. */
import { availableParallelism } from 'node:os'

import { DeviceError } from '../errors.js'
import { checkChoice, checkNumber, hint } from '../options.js'
import { describe } from './binding.js'
import type { NativeDescription } from './native-types.js'
import { resolvePrecision, type Precision, type ResolvedPrecision } from './precision.js'

export const devices = ['auto', 'cpu', 'cuda'] as const
/** `cuda` is GPU 0, `cuda:1` the next. */
export type Device = (typeof devices)[number] | `cuda:${number}`

export interface ResolvedDevice {
  readonly kind: 'cpu' | 'cuda'
  /** Whose kernels run: the instruction set `avx512`, `avx2`, `neon` or `scalar`, or a GPU, `cuda:0`. */
  readonly isa: string
  readonly precision: ResolvedPrecision
  /**
   * What native code knows it by, precision included: `avx2`, `cuda:0`, `cuda:0/bfloat16`. Weights are made for a target and
   * bring sessions onto it, so both are of one precision.
   */
  readonly target: string
  /** In words, for logs: `cpu (avx2, AMD EPYC 7B13)`, `cuda:0 (NVIDIA H100 80GB HBM3 (sm_90, 79 GiB), bfloat16)`. */
  readonly description: string
}

/**
 * Chooses: `auto` takes a GPU where there is one that works, else the CPU; the others insist. ONNX_ADAPTERS_ISA forces
 * an instruction set of the CPU.
 * @throws OptionError ERR_OPTION for an unknown name, and for a precision that the CPU has not; DeviceError ERR_DEVICE where the device cannot be used, with the
 * reason; DeviceError ERR_ADDON
 */
export function resolveDevice(
  device: Device = 'auto',
  precision: Precision = 'auto',
  description: NativeDescription = describe(),
): ResolvedDevice {
  const { kind, index } = parseDevice(device)
  const { ok, reason } = description.cuda
  switch (kind) {
    case 'auto':
      return ok ? gpu(index, description, precision) : cpu(description, resolvePrecision(precision, 'cpu', reason))
    case 'cpu':
      return cpu(description, resolvePrecision(precision, 'cpu'))
    case 'cuda':
      return gpu(index, description, precision)
    default:
      return kind satisfies never
  }
}

/** @throws OptionError ERR_OPTION for what is no device's name, here or anywhere. */
export function checkDevice(device: unknown): void {
  parseDevice(device)
}

function parseDevice(device: unknown): { kind: (typeof devices)[number]; index: number } {
  const numbered = typeof device === 'string' ? /^cuda:(\d{1,4})$/.exec(device) : null
  if (numbered) return { kind: 'cuda', index: Number(numbered[1]) }
  return { kind: checkChoice('device', device, devices), index: 0 }
}

function cpu(description: NativeDescription, precision: ResolvedPrecision): ResolvedDevice {
  const isa = chooseIsa(description, process.env['ONNX_ADAPTERS_ISA'])
  return { kind: 'cpu', isa, precision, target: isa, description: `cpu (${isa}, ${description.cpu})` }
}

function gpu(index: number, { cuda }: NativeDescription, asked: Precision): ResolvedDevice {
  const device = `cuda:${index}`
  const name = cuda.gpus[index]
  const reason = name === undefined && cuda.ok ? noSuchGpu(index, cuda.gpus) : cuda.reason
  if (!cuda.ok || name === undefined) {
    throw new DeviceError('ERR_DEVICE', `device '${device}' cannot be used: ${reason}`, { device, reason })
  }
  const precision = resolvePrecision(asked, 'cuda')
  const target = precision === 'float32' ? device : `${device}/${precision}`
  return { kind: 'cuda', isa: device, precision, target, description: `${device} (${name}, ${precision})` }
}

function noSuchGpu(index: number, gpus: readonly string[]): string {
  return `there is no GPU ${index}; there ${gpus.length === 1 ? 'is' : 'are'} ${gpus.map((gpu, i) => `${i}: ${gpu}`).join(', ')}`
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
