/** The files of a folder that the `adapters` library writes with save_adapter. */

import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { InteropError } from '../../errors.js'
import { readSafetensors, toFloats } from '../safetensors.js'
import { readTorchFile } from '../torch_file.js'
import type { SourceTensors } from './adapter_tensors.js'
import { isJson, type Json } from './config.js'
import { invalid } from './wrong.js'

export const hubFiles = {
  config: 'adapter_config.json',
  weights: 'pytorch_adapter.bin',
  safeWeights: 'adapter.safetensors',
  headConfig: 'head_config.json',
  headWeights: 'pytorch_model_head.bin',
  safeHeadWeights: 'model_head.safetensors',
  /** Ours: what the library knows nothing of. */
  extras: 'onnx_adapters.json',
} as const

/** No honest configuration comes near. */
const largestJson = 64 * 2 ** 20

/** A JSON object; undefined where there is no such file. @throws InteropError ERR_INTEROP_FILE */
export async function readJsonFile(file: string): Promise<Json | undefined> {
  const { size } = await stat(file).catch(() => ({ size: -1 }))
  if (size < 0) return undefined
  if (size > largestJson) throw invalid(file, '', `${size} bytes are too many for a configuration`)
  let value: unknown
  try {
    value = JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw invalid(file, '', `not valid JSON: ${(cause as Error).message}`)
  }
  if (isJson(value)) return value
  throw invalid(file, '', 'not a JSON object')
}

/** A folder's weights and the file that they are from: the torch file where there are both, as the library does. */
export async function readWeights(folder: string, torch: string, safe: string): Promise<[SourceTensors, string]> {
  const [torchFile, safeFile] = [join(folder, torch), join(folder, safe)]
  if (existsSync(torchFile)) return [await readTorchFile(torchFile), torchFile]
  if (existsSync(safeFile)) return [await readSafeWeights(safeFile), safeFile]
  throw new InteropError('ERR_INTEROP_MISSING', `${folder}: no ${torch} or ${safe} in it`, { file: torchFile })
}

/** Tensors of a safetensors file, converted when they are asked for. @throws RunError ERR_RUN_FILE */
export async function readSafeWeights(file: string): Promise<SourceTensors> {
  const { tensors } = await readSafetensors(file)
  const lazily = [...tensors].map(
    ([name, tensor]) => [name, { shape: tensor.shape, floats: () => toFloats(name, tensor) }] as const,
  )
  return new Map(lazily)
}
