/** Tiny published weights: state dicts with the names that the families use, of random numbers. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeSafetensors, type FloatTensor } from '../../lib/formats/safetensors.js'

export const tinyConfig = {
  model_type: 'bert',
  architectures: ['BertModel'],
  vocab_size: 50,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 48,
  max_position_embeddings: 16,
  type_vocab_size: 2,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-12,
  pad_token_id: 0,
}

export type StateDict = Map<string, FloatTensor>

/** The state dict of a tiny BERT with a pooler. @param prefix before each name */
export function tinyWeights(prefix = '', seed = 1): StateDict {
  const { vocab_size: V, hidden_size: C, num_hidden_layers: layers, intermediate_size: F } = tinyConfig
  const tensors: StateDict = new Map()
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32 - 0.5
  }
  const add = (name: string, ...shape: number[]) => {
    const data = Float32Array.from({ length: shape.reduce((product, n) => product * n, 1) }, next)
    if (name.endsWith('LayerNorm.weight')) data.forEach((value, i) => (data[i] = 1 + value / 2))
    tensors.set(prefix + name, { shape, data })
  }
  const linear = (name: string, from: number, to: number) => {
    add(`${name}.weight`, to, from)
    add(`${name}.bias`, to)
  }
  const norm = (name: string) => {
    add(`${name}.weight`, C)
    add(`${name}.bias`, C)
  }
  add('embeddings.word_embeddings.weight', V, C)
  add('embeddings.position_embeddings.weight', tinyConfig.max_position_embeddings, C)
  add('embeddings.token_type_embeddings.weight', 2, C)
  norm('embeddings.LayerNorm')
  for (let i = 0; i < layers; i++) {
    const layer = `encoder.layer.${i}`
    for (const part of ['query', 'key', 'value']) linear(`${layer}.attention.self.${part}`, C, C)
    linear(`${layer}.attention.output.dense`, C, C)
    norm(`${layer}.attention.output.LayerNorm`)
    linear(`${layer}.intermediate.dense`, C, F)
    linear(`${layer}.output.dense`, F, C)
    norm(`${layer}.output.LayerNorm`)
  }
  linear('pooler.dense', C, C)
  return tensors
}

/** The bytes of a safetensors file of 32-bit floats. */
export function safetensorsBytes(tensors: StateDict): Uint8Array {
  return Buffer.concat(encodeSafetensors(tensors))
}

/** Of 16-bit numbers, made of 32-bit ones by `bits`. */
export function halfSafetensorsBytes(tensors: StateDict, type: 'F16' | 'BF16'): Uint8Array {
  const header: Record<string, unknown> = {}
  const parts: Uint8Array[] = []
  let offset = 0
  for (const [name, { shape, data }] of tensors) {
    const bits = Uint16Array.from(data, type === 'BF16' ? bfloatBits : halfBits)
    header[name] = { dtype: type, shape, data_offsets: [offset, offset + bits.byteLength] }
    parts.push(new Uint8Array(bits.buffer))
    offset += bits.byteLength
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, ...parts])
}

function bfloatBits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16
}

/** Cut, not rounded, for numbers of middling size: which half it is does not matter here. */
function halfBits(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!
  const exponent = ((bits >>> 23) & 255) - 112
  if (exponent <= 0) return 0
  return ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff)
}

/** Writes config.json and model.safetensors. */
export async function writeWeights(folder: string, tensors: StateDict, config: object = tinyConfig): Promise<string> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  await writeFile(join(folder, 'model.safetensors'), safetensorsBytes(tensors))
  return folder
}
