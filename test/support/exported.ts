/** Runs to export, made without a training: every tensor of theirs is far from its start. */
import { mkdir } from 'node:fs/promises'
import type { Backbone } from '../../lib/backbone/backbone.js'
import type { TaskRecord } from '../../lib/data/tasks/index.js'
import { loadTask } from '../../lib/data/tasks/index.js'
import type { TaskKind } from '../../lib/kinds.js'
import { currentVersions, finishRun, readAdapter, readRecord, type RunRecord } from '../../lib/train/run.js'
import type { Tensor } from '../../lib/train/tensors.js'
import { Trainer } from '../../lib/train/trainer.js'
import { resolveTrainerOptions, trainsAdapters, type TrainerOptions } from '../../lib/train/trainer_options.js'
import { normal } from './random.js'

export interface MadeRun {
  readonly task?: TaskRecord
  readonly pool?: 'cls' | 'mean' | 'pooler'
  readonly adapter?: TrainerOptions['adapter']
  readonly trainable?: TrainerOptions['trainable']
  readonly seed?: string
}

/** Tasks of each kind, with three outputs where they are free. */
export const madeTasks: Readonly<Record<TaskKind, TaskRecord>> = {
  classification: { kind: 'classification', labels: ['red', 'green', 'blue'] },
  regression: { kind: 'regression', minimum: -3, maximum: 12 },
  multilabel: { kind: 'multilabel', labels: ['one', 'two', 'three'], labelSeparator: ',' },
  span: { kind: 'span', unanswerable: false, maxAnswerTokens: 8 },
  token: { kind: 'token', labels: ['O', 'B', 'I'] },
}

/** Writes the folder of a finished run. @returns the folder */
export async function makeRun(folder: string, backbone: Backbone, made: MadeRun = {}): Promise<string> {
  const { task: record = madeTasks.classification, pool = 'cls', trainable, seed = '' } = made
  const adapter = made.adapter ?? { size: 8 }
  const task = loadTask(record)
  const options: TrainerOptions = {
    backbone,
    task: { kind: task.kind, outputs: task.outputs },
    head: { pool },
    ...(trainsAdapters(trainable) ? { adapter } : {}),
    ...(trainable === undefined ? {} : { trainable }),
    threads: 1,
  }
  await using trainer = await Trainer.create(options)
  const tensors = new Map(
    [...(await trainer.tensors())].map(([name, tensor]): [string, Tensor] => [name, disturbed(name, tensor, seed)]),
  )
  const resolved = resolveTrainerOptions(options)
  await mkdir(folder, { recursive: true })
  await finishRun(
    folder,
    {
      format: 1,
      status: 'complete',
      backbone: { name: backbone.name, path: backbone.file, sha256: backbone.sha256 },
      task: record,
      options: {
        adapter: resolved.adapter,
        head: { pool, initialStd: resolved.headStd },
        trainable: resolved.trainable,
        maxLength: 16,
        pair: task.kind === 'span',
      },
      data: { train: { rows: 1, sha256: '' } } as unknown as RunRecord['data'],
      device: { kind: 'cpu', isa: '' },
      parameters: { trained: 0, total: 0, share: 0 },
      history: [],
      best: { epoch: 1, metrics: {} },
      versions: currentVersions(),
    },
    tensors,
  )
  return folder
}

/** Matrices of adapters, which start near zero, become large enough to be missed; others change a little. */
function disturbed(name: string, { shape, data }: Tensor, seed: string): Tensor {
  const isNew = name.includes('.adapter.') || name.startsWith('head.')
  const noise = normal(`${seed}${name}`, data.length, isNew ? 0.3 : 0.05)
  return { shape, data: noise.map((value, i) => value + data[i]!) }
}

/** A copy of a run whose record says something else, or without a head. */
export async function changedRun(
  run: string,
  copy: string,
  changes: Partial<RunRecord>,
  headless: boolean,
): Promise<string> {
  const record = await readRecord(run)
  const tensors = await readAdapter(run, record)
  if (headless) for (const name of ['head.weight', 'head.bias']) tensors.delete(name)
  await mkdir(copy, { recursive: true })
  await finishRun(copy, { ...record, ...changes }, tensors)
  return copy
}
