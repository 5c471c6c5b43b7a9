/**
 * The state of a training in one file, whose rename is the commit point: `parameters/`, `moment1/` and `moment2/` of
 * every trained tensor, `best/` (its value in the best epoch) where that is not the newest one, and the position as
 * JSON in the metadata.
 */

import { join } from 'node:path'
import { RunError } from '../errors.js'
import { readSafetensors, toFloats, writeSafetensors, type FloatTensor } from '../formats/safetensors.js'
import type { FitState } from './fit.js'
import { runFiles, type Parameters } from './run.js'
import type { TrainerState } from './trainer.js'

export interface Checkpoint {
  readonly state: TrainerState
  /** Tensors of the best epoch. */
  readonly best: Parameters
  readonly position: FitState
}

const formatName = 'onnx-adapters checkpoint 1'
const groups = ['parameters', 'moment1', 'moment2', 'best'] as const

/** @param best absent where the newest state is the best one */
export async function writeCheckpoint(
  folder: string,
  state: TrainerState,
  position: FitState,
  best?: Parameters,
): Promise<void> {
  const tensors = new Map<string, FloatTensor>()
  const parts = { parameters: state.parameters, moment1: state.moment1, moment2: state.moment2, best }
  for (const group of groups) for (const [name, tensor] of parts[group] ?? []) tensors.set(`${group}/${name}`, tensor)
  const metadata = { format: formatName, step: String(state.step), position: JSON.stringify(position) }
  await writeSafetensors(join(folder, runFiles.checkpoint), tensors, metadata)
}

/** @throws RunError ERR_RUN_FILE */
export async function readCheckpoint(folder: string): Promise<Checkpoint> {
  const file = join(folder, runFiles.checkpoint)
  const { tensors, metadata } = await readSafetensors(file)
  if (metadata.format !== formatName) {
    throw new RunError('ERR_RUN_FILE', `${file}: not a checkpoint that this version can read`, {
      file,
      found: metadata.format,
      expected: formatName,
    })
  }
  const read = Object.fromEntries(groups.map((group) => [group, new Map<string, FloatTensor>()]))
  for (const [key, tensor] of tensors) {
    const cut = key.indexOf('/')
    const name = key.slice(cut + 1)
    read[key.slice(0, cut)]?.set(name, { shape: tensor.shape, data: toFloats(key, tensor) })
  }
  const { parameters, moment1, moment2, best } = read as Record<(typeof groups)[number], Map<string, FloatTensor>>
  return {
    state: { parameters, moment1, moment2, step: Number(metadata.step) },
    best: best.size > 0 ? best : parameters,
    position: JSON.parse(metadata.position ?? 'null') as FitState,
  }
}
