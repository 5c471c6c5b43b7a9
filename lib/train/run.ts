/** The folder of a run: which files it has, how they are written, and how they are read again. */

import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { TaskRecord } from '../data/tasks/index.js'
import { OptionError, RunError } from '../errors.js'
import { writeAtomic } from '../formats/atomic.js'
import { decodeSafetensors, encodeSafetensors, toFloats, type FloatTensor } from '../formats/safetensors.js'
import { packageVersion } from '../version.js'
import type { EpochRecord, BestEpoch, Throughput } from './fit.js'
import type { ParameterCount } from './progress.js'

export const runFiles = {
  record: 'run.json',
  adapter: 'adapter.safetensors',
  metrics: 'metrics.jsonl',
  checkpoint: 'checkpoint.safetensors',
} as const

/** Trained tensors by name. */
export type Parameters = ReadonlyMap<string, FloatTensor>

/** What stands in run.json. */
export interface RunRecord {
  /** Of this file's layout. */
  readonly format: 1
  /** `training` until the last epoch is done: then the checkpoint holds the newest complete state. */
  readonly status: 'training' | 'complete'
  readonly backbone: {
    readonly name: string
    /** Where it lay. */
    readonly path: string
    /** Of the model file. */
    readonly sha256: string
  }
  readonly task: TaskRecord
  /** Options of the model and of its training, with defaults filled in. */
  readonly options: RunOptions
  readonly parameters: ParameterCount
  readonly history: readonly EpochRecord[]
  readonly best?: BestEpoch
  readonly throughput?: Throughput
  readonly adapter?: { readonly file: string; readonly sha256: string }
  readonly versions: { readonly 'onnx-adapters': string; readonly node: string }
}

/** What a reader needs to build the model again, and more for people. */
export interface RunOptions {
  readonly adapter: false | Readonly<Record<string, unknown>>
  readonly head: Readonly<Record<string, unknown>>
  readonly trainable: unknown
  readonly maxLength: number
  /** True where a row is two texts. */
  readonly pair: boolean
  readonly [key: string]: unknown
}

export function currentVersions(): RunRecord['versions'] {
  return { 'onnx-adapters': packageVersion(), node: process.versions.node }
}

/**
 * Refuses a folder with content unless it may be overwritten.
 * @throws OptionError ERR_OUTPUT_EXISTS
 */
export async function checkOutput(folder: string, overwrite: boolean): Promise<void> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw new OptionError(
      'ERR_OPTION',
      `option "output": ${folder} cannot be used: ${error.message}`,
      { option: 'output', got: folder },
      { cause: error },
    )
  })
  if (found.length === 0 || overwrite) return
  throw new OptionError('ERR_OUTPUT_EXISTS', `${folder} exists and is not empty; choose another output, or overwrite`, {
    option: 'output',
    got: folder,
    expected: 'a new or empty folder',
  })
}

/** Makes the folder, without the files of an earlier run; other files stay. */
export async function prepareOutput(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const name of Object.values(runFiles)) await rm(join(folder, name), { force: true })
}

export async function writeRecord(folder: string, record: RunRecord): Promise<void> {
  await writeAtomic(join(folder, runFiles.record), `${JSON.stringify(record, null, 2)}\n`)
}

/** Writes the trained tensors. @returns what run.json says of the file */
export async function writeAdapter(
  folder: string,
  parameters: Parameters,
  task: TaskRecord,
): Promise<NonNullable<RunRecord['adapter']>> {
  const parts = encodeSafetensors(parameters, { format: 'onnx-adapters', task: JSON.stringify(task) })
  const sha256 = createHash('sha256')
  for (const part of parts) sha256.update(part)
  await writeAtomic(join(folder, runFiles.adapter), ...parts)
  return { file: runFiles.adapter, sha256: sha256.digest('hex') }
}

/**
 * The record of a run.
 * @throws RunError ERR_RUN_MISSING, ERR_RUN_RECORD
 */
export async function readRecord(folder: string): Promise<RunRecord> {
  const file = join(folder, runFiles.record)
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new RunError(
      'ERR_RUN_MISSING',
      `${folder}: not the folder of a run: no ${runFiles.record} in it`,
      { file },
      { cause },
    )
  })
  let record: Partial<RunRecord> | null
  try {
    record = JSON.parse(text) as Partial<RunRecord> | null
  } catch (cause) {
    throw new RunError('ERR_RUN_RECORD', `${file}: not valid JSON: ${(cause as Error).message}`, { file }, { cause })
  }
  if (record?.format !== 1 || !record.task || !record.options || !record.backbone) {
    throw new RunError(
      'ERR_RUN_RECORD',
      `${file}: not the record of a run that this version can read (format ${String(record?.format)}, expected 1)`,
      {
        file,
        found: record?.format,
        expected: 1,
      },
    )
  }
  return record as RunRecord
}

/**
 * The trained tensors of a finished run.
 * @throws RunError ERR_RUN_FILE, and ERR_RUN_CHANGED where the file is not the one that run.json names
 */
export async function readAdapter(folder: string, record: RunRecord): Promise<Map<string, FloatTensor>> {
  const file = join(folder, runFiles.adapter)
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new RunError('ERR_RUN_FILE', `${file}: cannot be read: ${(cause as Error).message}`, { file }, { cause })
  })
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (sha256 !== record.adapter?.sha256) {
    throw new RunError(
      'ERR_RUN_CHANGED',
      `${file}: its sha256 is ${sha256}, but ${runFiles.record} names ${record.adapter?.sha256 ?? 'none'}`,
      {
        file,
        found: sha256,
        expected: record.adapter?.sha256,
      },
    )
  }
  const { tensors } = decodeSafetensors(bytes, file)
  return new Map([...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: toFloats(name, tensor) }]))
}

/**
 * Turns the folder of a training into that of a finished run: the best epoch's tensors, then run.json, whose rename is
 * the commit point, then the checkpoint goes. A process killed between leaves a run that is still `training`.
 */
export async function finishRun(folder: string, record: RunRecord, best: Parameters): Promise<void> {
  const adapter = await writeAdapter(folder, best, record.task)
  await writeRecord(folder, { ...record, adapter })
  await rm(join(folder, runFiles.checkpoint), { force: true })
}
