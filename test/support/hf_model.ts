/** A tiny BERT as Python's transformers loads it, and the same as our backbone. */
import { join } from 'node:path'
import { convertWeights, loadBackbone, type Backbone } from '../../lib/index.js'
import { writeSafetensors } from '../../lib/formats/safetensors.js'
import { openRun } from '../../lib/train/open_run.js'
import { tinyTokenizer, writeFiles } from './folder.js'
import { integers } from './random.js'
import { tinyConfig, tinyWeights } from './weights.js'

export interface HfModel {
  readonly folder: string
  readonly backbone: Backbone
}

export async function writeHfModel(folder: string): Promise<HfModel> {
  await writeFiles(folder, {
    'config.json': JSON.stringify(tinyConfig),
    'tokenizer.json': JSON.stringify(tinyTokenizer),
  })
  await writeSafetensors(join(folder, 'model.safetensors'), tinyWeights(), { format: 'pt' })
  await convertWeights(folder, join(folder, 'model.onnx'))
  return { folder, backbone: await loadBackbone(folder, { verify: false }) }
}

/** Rows of different lengths. */
export const someIds = [3, 9, 16, 1].map((length) => [...integers(`ids${length}`, length, 0, 49)])

/** Logits of a run for some rows. */
export async function runLogits(run: string, backbone: Backbone, inputIds = someIds): Promise<number[][]> {
  const { model } = await openRun(run, { backbone, threads: 1 })
  try {
    return (await model.forward({ inputIds })).map((row) => [...row])
  } finally {
    await model.dispose()
  }
}

export function largestGap(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number {
  const gaps = a.flatMap((row, i) => row.map((value, k) => Math.abs(value - (b[i]?.[k] ?? Infinity))))
  return Math.max(...gaps)
}
