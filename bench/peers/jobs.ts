/** Who is measured: ours, the same model in plain PyTorch, and two Python libraries. */
export type Engine = 'onnx-adapters' | 'torch' | 'adapterhub' | 'peft-lora'

/** `sst2`, `mrpc`: real lengths; `equal`: all rows of one length. */
export type PeerWorkload = 'sst2' | 'mrpc' | 'equal'

/** One process that measures one model on one workload. */
export interface Job {
  readonly engine: Engine
  readonly workload: PeerWorkload
  /** An adapter size, `full`, `layernorm`, `top-K`; of LoRA the rank. */
  readonly model: string
}

export interface JobOptions {
  /** Of ours and of plain PyTorch. */
  readonly models: readonly string[]
  readonly workloads: readonly PeerWorkload[]
  /** Libraries that are installed, besides plain PyTorch. */
  readonly libraries: readonly ('adapterhub' | 'peft-lora')[]
}

/** The libraries' one model each: the size and the rank that are most used. */
const libraryModels = { adapterhub: '64', 'peft-lora': '8' } as const

/**
 * The jobs of a round. Engines take turns model by model, so that what is compared runs as near in time as can be.
 * The libraries follow size 64 of ours. They have no script for random tokens of equal length.
 */
export function roundJobs({ models, workloads, libraries }: JobOptions): Job[] {
  return workloads.flatMap((workload) => [
    ...models.flatMap((model): Job[] => [
      { engine: 'onnx-adapters', workload, model },
      { engine: 'torch', workload, model },
      ...(model === libraryModels.adapterhub ? libraryJobs(workload, libraries) : []),
    ]),
    ...(models.includes(libraryModels.adapterhub) ? [] : libraryJobs(workload, libraries)),
  ])
}

function libraryJobs(workload: PeerWorkload, libraries: JobOptions['libraries']): Job[] {
  if (workload === 'equal') return []
  return libraries.map((engine) => ({ engine, workload, model: libraryModels[engine] }))
}

/** The model's name in the Python scripts. */
export function pythonModel({ engine, model }: Job): string {
  if (engine === 'adapterhub') return `ah${model}`
  return engine === 'peft-lora' ? `lora${model}` : model
}

/** `sst2, torch 64` */
export function jobName({ engine, workload, model }: Job): string {
  return `${workload}, ${engine} ${model}`
}
