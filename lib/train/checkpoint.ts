/**
 * The state of a training in one file, whose rename is the commit point: `parameters/`, `moment1/` and `moment2/` of
 * every trained tensor, `best/` (its value in the best epoch) where that is not the newest one, and as JSON in the
 * metadata the position, the run that it belongs to, and how much of metrics.jsonl it covers.
 */

import { join } from 'node:path'
import { RunError } from '../errors.js'
import { readSafetensors, toFloats, writeSafetensors, type FloatTensor } from '../formats/safetensors.js'
import { wrongIdentityField, wrongPositionField } from './check_record.js'
import type { FitState } from './fit.js'
import type { RunIdentity } from './identity.js'
import { runFiles, type Parameters } from './run.js'
import type { TrainerState } from './trainer.js'

export interface Checkpoint {
  readonly state: TrainerState
  /** Tensors of the best epoch so far; those of now while there is none. */
  readonly best: Parameters
  readonly position: FitState
  readonly identity: RunIdentity
  /** Bytes of metrics.jsonl that tell of the steps up to here. */
  readonly metricsBytes: number
}

const formatName = 'onnx-adapters checkpoint 1'
const groups = ['parameters', 'moment1', 'moment2', 'best'] as const

/**
 * @param checkpoint its `best` is absent where the newest state is the best one
 * @throws RunError ERR_RUN_WRITE; the checkpoint before it then stays
 */
export async function writeCheckpoint(
  folder: string,
  { state, position, identity, metricsBytes, best }: Omit<Checkpoint, 'best'> & { readonly best?: Parameters },
): Promise<void> {
  const tensors = new Map<string, FloatTensor>()
  const parts = { parameters: state.parameters, moment1: state.moment1, moment2: state.moment2, best }
  for (const group of groups) for (const [name, tensor] of parts[group] ?? []) tensors.set(`${group}/${name}`, tensor)
  await writeSafetensors(join(folder, runFiles.checkpoint), tensors, {
    format: formatName,
    position: JSON.stringify(position),
    identity: JSON.stringify(identity),
    metrics_bytes: String(metricsBytes),
  })
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
  const position = parse<FitState>(file, 'position', metadata, wrongPositionField)
  const identity = parse<RunIdentity>(file, 'identity', metadata, wrongIdentityField)
  return {
    state: { parameters, moment1, moment2, step: position.step },
    best: best.size > 0 ? best : parameters,
    position,
    identity,
    metricsBytes: readCount(file, 'metrics_bytes', metadata),
  }
}

function readCount(file: string, key: string, metadata: Readonly<Record<string, string>>): number {
  const { [key]: text = '' } = metadata
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new RunError('ERR_RUN_FILE', `${file}: its "${key}" is not a whole number`, { file, field: key, found: text })
}

/** @param wrongField names what is missing in the object, or of a wrong type */
function parse<T extends object>(
  file: string,
  key: string,
  metadata: Readonly<Record<string, string>>,
  wrongField: (value: Readonly<Record<string, unknown>>) => string | undefined,
): T {
  let value: unknown
  try {
    value = JSON.parse(metadata[key] ?? '')
  } catch (cause) {
    throw new RunError('ERR_RUN_FILE', `${file}: its "${key}" is not valid JSON`, { file, field: key }, { cause })
  }
  if (typeof value !== 'object' || value === null)
    throw new RunError('ERR_RUN_FILE', `${file}: its "${key}" is not an object`, { file, field: key })
  const wrong = wrongField({ ...value })
  if (wrong === undefined) return value as T
  const field = `${key}.${wrong}`
  throw new RunError('ERR_RUN_FILE', `${file}: its "${field}" is missing or of a wrong type`, { file, field })
}
