/**
 * Folders of Python's `peft`: LayerNorm tuning (LN_TUNING) with a head among its `modules_to_save`. It has no type for
 * bottleneck adapters, so no more of a run than that can be said there.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { InteropError } from '../errors.js'
import type { TaskKind } from '../kinds.js'
import { readJsonFile, readSafeWeights } from './adapterhub/folder.js'
import type { SourceTensors } from './adapterhub/adapter_tensors.js'
import type { Json } from './adapterhub/config.js'
import { embeddingNorm, type HubFamily, type Place } from './adapterhub/names.js'
import { invalid, unsupported } from './adapterhub/wrong.js'
import type { FloatTensor } from './safetensors.js'
import { readTorchFile } from './torch_file.js'

export const peftFiles = {
  config: 'adapter_config.json',
  weights: 'adapter_model.safetensors',
  torchWeights: 'adapter_model.bin',
} as const

const root = 'base_model.model.'
const parts = ['weight', 'bias'] as const
const places: readonly Place[] = ['attention', 'ffn']

/** By our kinds: what peft calls the task, and the head of transformers' class for it. */
const tasks: Readonly<Record<TaskKind, { readonly type: string; readonly head: string }>> = {
  classification: { type: 'SEQ_CLS', head: 'classifier' },
  regression: { type: 'SEQ_CLS', head: 'classifier' },
  multilabel: { type: 'SEQ_CLS', head: 'classifier' },
  token: { type: 'TOKEN_CLS', head: 'classifier' },
  span: { type: 'QUESTION_ANS', head: 'qa_outputs' },
}

/** Names of modules with LayerNorms: of a run, and in the model there. */
function normNames({ structure }: HubFamily, layers: number): [string, string][] {
  const names: [string, string][] = [['embeddings.layer_norm', embeddingNorm]]
  for (let layer = 0; layer < layers; layer++)
    for (const place of places) names.push([`layer.${layer}.${place}.layer_norm`, structure.norm(layer, place)])
  return names
}

/** The JSON of the folder. */
export function encodePeftConfig(kind: TaskKind, family: HubFamily, model: string): string {
  const { type, head } = tasks[kind]
  const modules = normNames(family, 1).map(([, name]) => name.slice(name.lastIndexOf('.') + 1))
  const config = {
    base_model_name_or_path: model,
    inference_mode: true,
    modules_to_save: [head],
    peft_type: 'LN_TUNING',
    target_modules: [...new Set(modules)],
    task_type: type,
  }
  return `${JSON.stringify(config, null, 2)}\n`
}

/** Tensors of a run as peft calls them. */
export function toPeft(
  tensors: ReadonlyMap<string, FloatTensor>,
  kind: TaskKind,
  family: HubFamily,
  layers: number,
): Map<string, FloatTensor> {
  const written = new Map<string, FloatTensor>()
  for (const part of parts) {
    for (const [ours, theirs] of normNames(family, layers)) {
      const tensor = tensors.get(`${ours}.${part}`)
      if (tensor) written.set(`${root}${family.prefix}${theirs}.ln_tuning_layers.${part}`, tensor)
    }
    const head = tensors.get(`head.${part}`)
    if (head) written.set(`${root}${tasks[kind].head}.${part}`, head)
  }
  return written
}

export interface PeftFolder {
  readonly kind: TaskKind
  readonly outputs: number
  readonly file: string
  /** By the names of a run. */
  readonly tensors: Map<string, FloatTensor>
}

/**
 * @throws InteropError ERR_INTEROP_MISSING, ERR_INTEROP_FILE, and ERR_INTEROP_UNSUPPORTED for another method than
 * LayerNorm tuning or a tensor of something else, with `details.key`; ERR_TORCH_FILE; RunError ERR_RUN_FILE
 */
export async function readPeftFolder(folder: string, family: HubFamily, layers: number): Promise<PeftFolder> {
  const configFile = join(folder, peftFiles.config)
  const config = await readJsonFile(configFile)
  if (!config) throw missing(folder, peftFiles.config)
  const [kind, head] = readTask(config, configFile)
  const [source, file] = await readWeights(folder)
  const left = new Map([...source].map(([name, tensor]) => [name.replace(`${root}${family.prefix}`, root), tensor]))
  const tensors = new Map<string, FloatTensor>()
  for (const part of parts) {
    for (const [ours, theirs] of [...normNames(family, layers), ['head', head] as const]) {
      const name = theirs === head ? `${root}${head}.${part}` : `${root}${theirs}.ln_tuning_layers.${part}`
      const tensor = left.get(name)
      if (tensor) tensors.set(`${ours}.${part}`, { shape: tensor.shape, data: tensor.floats() })
      else if (theirs === head)
        throw invalid(file, name, `it has no tensor "${name}": the head must be among modules_to_save`)
      left.delete(name)
    }
  }
  const [other] = left.keys()
  if (other !== undefined) throw unsupported(file, other, 'a tensor of something else', 'LayerNorms and the head')
  const [outputs = 0] = tensors.get('head.bias')!.shape
  return { kind: kind === 'classification' && outputs === 1 ? 'regression' : kind, outputs, file, tensors }
}

function readTask(config: Json, file: string): [TaskKind, string] {
  const { peft_type: method, task_type: task } = config
  if (method !== 'LN_TUNING') throw unsupported(file, 'peft_type', method, 'LN_TUNING')
  const found = Object.entries(tasks).find(([, { type }]) => type === task)
  if (!found) throw unsupported(file, 'task_type', task, 'SEQ_CLS, TOKEN_CLS or QUESTION_ANS')
  return [found[0] as TaskKind, found[1].head]
}

async function readWeights(folder: string): Promise<[SourceTensors, string]> {
  const [safe, torch] = [join(folder, peftFiles.weights), join(folder, peftFiles.torchWeights)]
  if (existsSync(safe)) return [await readSafeWeights(safe), safe]
  if (existsSync(torch)) return [await readTorchFile(torch), torch]
  throw missing(folder, peftFiles.weights)
}

function missing(folder: string, name: string): InteropError {
  return new InteropError('ERR_INTEROP_MISSING', `${folder}: no ${name} in it`, { file: join(folder, name) })
}
