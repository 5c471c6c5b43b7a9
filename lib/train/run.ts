/** The folder of a run: which files it has, how they are written, and how they are read again. */

import { createHash } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { TaskRecord } from '../data/tasks/index.js'
import { OptionError, RunError } from '../errors.js'
import { writeAtomic } from '../formats/atomic.js'
import { decodeSafetensors, encodeSafetensors, toFloats, type FloatTensor } from '../formats/safetensors.js'
import { packageVersion } from '../version.js'
import { wrongRecordField, wrongResultField } from './check_record.js'
import type { EpochRecord, BestEpoch, Throughput } from './fit.js'
import type { RunData } from './identity.js'
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
  /**
   * What happened. Unless it is `complete`, the checkpoint holds the newest complete state, and the training can go on
   * from there; `training` is also what a process leaves that was killed.
   */
  readonly status: 'training' | 'interrupted' | 'failed' | 'complete'
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
  /** What it is trained on. */
  readonly data: RunData
  /** Where it began; another instruction set gives other last bits. Records of older versions name no precision. */
  readonly device: { readonly kind: string; readonly isa: string; readonly precision?: string }
  readonly parameters: ParameterCount
  readonly history: readonly EpochRecord[]
  readonly best?: BestEpoch
  readonly throughput?: Throughput
  readonly adapter?: { readonly file: string; readonly sha256: string }
  /** Why it ended before its time: of `interrupted` and `failed`. */
  readonly stopped?: Stop
  /** Each time it went on from a checkpoint. */
  readonly resumed?: readonly Resumption[]
  readonly versions: { readonly 'onnx-adapters': string; readonly node: string }
}

export interface Stop {
  /** The last step that counts. */
  readonly step: number
  /** The epoch under way, or the last one. */
  readonly epoch: number
  readonly code?: string
  readonly message: string
  /** ISO 8601. */
  readonly at: string
}

export interface Resumption {
  /** Steps that were done. */
  readonly step: number
  /** ISO 8601. */
  readonly at: string
  readonly versions: RunRecord['versions']
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

export async function writeRecord(folder: string, record: RunRecord): Promise<void> {
  await writeAtomic(join(folder, runFiles.record), `${JSON.stringify(record, null, 2)}\n`)
}

/** Writes the trained tensors. @returns what run.json says of the file */
async function writeAdapter(
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
  if (record?.format !== 1) {
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
  refuseField(file, wrongRecordField({ ...record }))
  return record as RunRecord
}

/** What a finished run has come to. @throws RunError ERR_RUN_RECORD where its record does not say it */
export function readResult(folder: string, record: RunRecord): { best: BestEpoch; throughput: Throughput } {
  refuseField(join(folder, runFiles.record), wrongResultField({ ...record }))
  const { best, throughput } = record as RunRecord & { best: BestEpoch; throughput: Throughput }
  return { best, throughput }
}

function refuseField(file: string, field: string | undefined): void {
  if (field === undefined) return
  throw new RunError('ERR_RUN_RECORD', `${file}: damaged: its "${field}" is missing or of a wrong type`, {
    file,
    field,
  })
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

/** Hands tensors of a file over to a model: what it cannot take is the file's fault, not the caller's. */
export async function blameFile<T>(file: string, take: () => Promise<T>): Promise<T> {
  try {
    return await take()
  } catch (cause) {
    if (!(cause instanceof OptionError)) throw cause
    throw new RunError('ERR_RUN_FILE', `${file}: ${cause.message}`, { ...cause.details, file }, { cause })
  }
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
