import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe } from '../../lib/runtime/binding.js'

const run = promisify(execFile)

/** The GPU, and what runs it. Numbers that nvidia-smi does not give are absent. */
export interface Gpu {
  readonly name: string
  /** Of NVIDIA, such as `580.65.06`. */
  readonly driver?: string
  /** The newest CUDA that the driver supports, and the toolkit that the addon was built with. */
  readonly driverCuda: string
  readonly toolkit: string
  readonly cublaslt: string
  readonly memoryMiB?: number
  /** MHz. */
  readonly maxClocks?: { readonly sm?: number; readonly memory?: number }
  readonly powerLimitWatts?: number
}

/** What it does at a moment. */
export interface GpuMoment {
  readonly smClock?: number
  readonly memoryClock?: number
  readonly usedMiB?: number
  readonly watts?: number
  readonly celsius?: number
}

export async function describeGpu(index: number): Promise<Gpu> {
  const { cuda } = describe()
  const smi = await query(index, {
    name: 'name',
    driver: 'driver_version',
    memoryMiB: 'memory.total',
    sm: 'clocks.max.sm',
    memory: 'clocks.max.memory',
    powerLimitWatts: 'power.limit',
  })
  const { name, driver, sm, memory, memoryMiB, powerLimitWatts } = smi
  return {
    name: name ?? cuda.gpus[index] ?? 'unknown',
    ...(driver === undefined ? {} : { driver }),
    driverCuda: cuda.driver,
    toolkit: cuda.toolkit,
    cublaslt: cuda.cublaslt,
    ...numbers({ memoryMiB, powerLimitWatts }),
    maxClocks: numbers({ sm, memory }),
  }
}

export async function watchGpu(index: number): Promise<GpuMoment> {
  const moment = await query(index, {
    smClock: 'clocks.sm',
    memoryClock: 'clocks.mem',
    usedMiB: 'memory.used',
    watts: 'power.draw',
    celsius: 'temperature.gpu',
  })
  return numbers(moment)
}

/** Fields of nvidia-smi as it prints them, without units; those it does not know are left out. */
async function query<K extends string>(
  index: number,
  fields: Readonly<Record<K, string>>,
): Promise<Partial<Record<K, string>>> {
  const names = Object.keys(fields) as K[]
  // CUDA counts the GPUs that it may see.
  const visible = process.env.CUDA_VISIBLE_DEVICES?.split(',')[index]?.trim()
  const args = [
    `--id=${visible || index}`,
    `--query-gpu=${Object.values(fields).join(',')}`,
    '--format=csv,noheader,nounits',
  ]
  try {
    const { stdout } = await run('nvidia-smi', args)
    const values = stdout.trim().split('\n')[0]!.split(/,\s*/)
    return Object.fromEntries(
      names.map((name, i) => [name, values[i]]).filter(([, value]) => value && !/^\[|n\/a/i.test(value)),
    ) as Partial<Record<K, string>>
  } catch {
    return {}
  }
}

function numbers<K extends string>(values: Partial<Record<K, string | undefined>>): Partial<Record<K, number>> {
  const entries = Object.entries(values) as [K, string | undefined][]
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Number(value)] as const).filter(([, value]) => Number.isFinite(value)),
  ) as Partial<Record<K, number>>
}
