/** Small trainings for tests of a run's life: what they start from, and what of their outcome must not vary. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { ProgressEvent, TrainOptions } from '../../lib/index.js'
import { asTsv, colourRows, temporaryFolder, tinyBackbone, writeFiles } from './folder.js'

export interface Place {
  readonly folder: string
  readonly options: TrainOptions
}

/** 12 steps an epoch: 96 rows, of a tiny encoder with dropout. */
export async function prepareTraining(t: ExecutionContext, more: Partial<TrainOptions> = {}): Promise<Place> {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  await writeFiles(folder, { 'train.tsv': asTsv(colourRows(96)), 'dev.tsv': asTsv(colourRows(40)) })
  const options: TrainOptions = {
    backbone,
    train: join(folder, 'train.tsv'),
    validation: join(folder, 'dev.tsv'),
    output: join(folder, 'run'),
    adapter: { size: 8 },
    batchSize: 8,
    epochs: 3,
    learningRate: 1e-2,
    threads: 1,
    ...more,
  }
  return { folder, options }
}

export interface Outcome {
  readonly adapter: Buffer
  readonly history: unknown
  readonly best: unknown
  readonly metrics: unknown
}

/** What a finished run holds, without times. */
export async function outcomeOf(folder: string): Promise<Outcome> {
  const record = await readJson(join(folder, 'run.json'))
  const lines = (await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n')
  return {
    adapter: await readFile(join(folder, 'adapter.safetensors')),
    history: withoutTimes(record['history']),
    best: withoutTimes(record['best']),
    metrics: lines.map((line) => withoutTimes(JSON.parse(line))),
  }
}

export async function readJson(file: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
}

function withoutTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTimes)
  if (typeof value !== 'object' || value === null) return value
  const rest = Object.entries(value).filter(([key]) => key !== 'seconds' && key !== 'milliseconds')
  return Object.fromEntries(rest.map(([key, inner]) => [key, withoutTimes(inner)]))
}

/** Options that abort a training with "enough" at the first event of which something is true. */
export function abortAt(is: (event: ProgressEvent) => boolean): Pick<TrainOptions, 'signal' | 'onProgress'> {
  const stop = new AbortController()
  return {
    signal: stop.signal,
    onProgress: (event) => {
      if (is(event)) stop.abort(new Error('enough'))
    },
  }
}
