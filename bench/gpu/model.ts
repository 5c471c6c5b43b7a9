import { existsSync } from 'node:fs'
import path from 'node:path'
import { buildBert, shapes, type BertShape } from '../../lib/bench/encoder.js'
import { randomContent } from '../../lib/bench/synthetic.js'
import { convertWeights } from '../../lib/backbone/convert.js'
import { tensorNames, type LayerNames } from '../../lib/backbone/convert/names.js'
import { writeAtomic } from '../../lib/formats/atomic.js'
import { writeSafetensors, type FloatTensor } from '../../lib/formats/safetensors.js'
import { makeFolder } from '../../lib/formats/folder.js'
import { loadBackbone, type Backbone } from '../../lib/index.js'
import type { Value } from '../../lib/ir/graph.js'

/** Encoders that are measured; `tiny` shows that all works where there is no time to wait. */
export const gpuShapes = {
  base: shapes['bert-base'],
  large: shapes['bert-large'],
  tiny: { ...shapes.minilm, layers: 2, hidden: 64, heads: 4, feedForward: 128 },
} as const satisfies Record<string, BertShape>

export type GpuShape = keyof typeof gpuShapes
export const gpuShapeNames = Object.keys(gpuShapes) as GpuShape[]

/**
 * A backbone of random weights in a folder of its own, as published ones lie: `config.json` and `model.safetensors`,
 * which PyTorch reads, and `model.onnx` of the same tensors by our own writer. The same seed gives the same bytes. What
 * is there already is taken.
 */
export async function makeModel(name: GpuShape, folder: string, seed: number): Promise<Backbone> {
  const target = path.join(folder, `${name}-${seed}`)
  const model = path.join(target, 'model.onnx')
  if (!existsSync(model)) {
    await makeFolder(target)
    await writeAtomic(path.join(target, 'config.json'), JSON.stringify(config(gpuShapes[name]), null, 1))
    await writeSafetensors(path.join(target, 'model.safetensors'), makeTensors(gpuShapes[name], seed), {})
    await convertWeights(target, model)
  }
  return loadBackbone(model, { verify: false })
}

function config({ layers, hidden, heads, feedForward, vocabulary, positions, tokenTypes }: BertShape): object {
  return {
    architectures: ['BertModel'],
    model_type: 'bert',
    num_hidden_layers: layers,
    hidden_size: hidden,
    num_attention_heads: heads,
    intermediate_size: feedForward,
    hidden_act: 'gelu',
    vocab_size: vocabulary,
    max_position_embeddings: positions,
    type_vocab_size: tokenTypes,
    layer_norm_eps: 1e-12,
    pad_token_id: 0,
  }
}

/** By the names of published weights. */
function makeTensors(shape: BertShape, seed: number): Map<string, FloatTensor> {
  const { graph, pooler } = buildBert(shape, randomContent(seed))
  const values = [...graph.nodes.flatMap(({ inputs }) => Object.values(inputs)), ...Object.values(pooler ?? {})]
  const tensors = new Map<string, FloatTensor>()
  for (const { parts = [] } of values as Value[])
    for (const { name, shape, data } of parts) tensors.set(publishedName(name), { shape, data: data as Float32Array })
  return tensors
}

const names = tensorNames('bert')

/** `layer.3.ffn.up.weight` is `encoder.layer.3.intermediate.dense.weight` there. */
export function publishedName(name: string): string {
  const [, stem = '', kind = ''] = /^(.*)\.(weight|bias)$/.exec(name) ?? []
  const [, layer = '', part = ''] = /^layer\.(\d+)\.(.*)$/.exec(stem) ?? []
  const known = layerParts[part]
  if (known) return `${names.layer(Number(layer))[known]}.${kind}`
  const outside: Readonly<Record<string, string>> = {
    'embeddings.word': names.word,
    'embeddings.position': names.position,
    'embeddings.token_type': names.tokenType,
    'embeddings.layer_norm': `${names.embeddingNorm}.${kind}`,
    pooler: `${names.pooler}.${kind}`,
  }
  const found = outside[stem]
  if (!found) throw new Error(`no published name for ${name}`)
  return found
}

const layerParts: Readonly<Record<string, keyof LayerNames>> = {
  'attention.query': 'query',
  'attention.key': 'key',
  'attention.value': 'value',
  'attention.output': 'output',
  'attention.layer_norm': 'attentionNorm',
  'ffn.up': 'up',
  'ffn.down': 'down',
  'ffn.layer_norm': 'outputNorm',
}
