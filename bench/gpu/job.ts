import type { WorkloadName } from '../../lib/bench/workload.js'
import type { GpuShape } from './model.js'

/** What is measured: by us and by the others. */
export interface GpuJob {
  readonly shape: GpuShape
  readonly workload: WorkloadName
  /** Rows of a batch. */
  readonly rows: number
  /** An adapter size, or `full`. */
  readonly model: string
}

export interface GpuMatrix {
  readonly shapes: readonly GpuShape[]
  readonly workloads: readonly WorkloadName[]
  readonly rows: readonly number[]
  readonly models: readonly string[]
}

export function gpuJobs({ shapes, workloads, rows, models }: GpuMatrix): GpuJob[] {
  return shapes.flatMap((shape) =>
    workloads.flatMap((workload) =>
      rows.flatMap((count) => models.map((model) => ({ shape, workload, rows: count, model }))),
    ),
  )
}

/** `base, equal, 32 rows, 64` */
export function gpuJobName({ shape, workload, rows, model }: GpuJob): string {
  return `${shape}, ${workload}, ${rows} rows, ${model}`
}
