/** The shared ONNX fixtures: which there are, what is expected of each, and their true weights. */
import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readSafetensors, toFloats } from '../../lib/formats/safetensors.js'
import type { ImportedEncoder } from '../../lib/onnx/import.js'
import { runEncoder } from './encoder_reference.js'
import { sharedPath } from './shared.js'

export interface GoldenBatch {
  readonly name: string
  readonly padding: 'none' | 'right' | 'left' | 'hole'
  readonly input_ids: readonly (readonly number[])[]
  readonly attention_mask?: readonly (readonly number[])[]
  readonly token_type_ids?: readonly (readonly number[])[]
  readonly last_hidden_state?: readonly (readonly (readonly number[])[])[]
  readonly positions?: readonly number[]
  readonly last_hidden_state_at_positions?: readonly (readonly (readonly number[])[])[]
}

export interface Golden {
  readonly arch: string
  readonly expectation: 'import' | 'reject' | 'import-or-reject'
  readonly reason: string
  readonly tolerance: number | null
  readonly onnx_inputs: readonly { readonly name: string }[]
  readonly onnx_outputs: readonly { readonly name: string }[]
  readonly expected_architecture: {
    readonly hidden_size: number
    readonly num_hidden_layers: number
    readonly num_attention_heads: number
    readonly intermediate_size: number
    readonly hidden_act: string
    readonly layer_norm_eps: number
    readonly vocab_size: number
    readonly max_position_embeddings: number
    readonly type_vocab_size: number
    readonly pooler_in_onnx: boolean
  }
  readonly batches: readonly GoldenBatch[]
}

export interface Fixture {
  readonly name: string
  readonly model: string
}

/** Fixture folders by name; none where the shared files are absent. */
export function fixtures(): Fixture[] {
  const root = sharedPath('fixtures')
  if (!root) return []
  return readdirSync(root)
    .map((name) => ({ name, model: join(root, name, 'model.onnx') }))
    .filter(({ model }) => existsSync(model))
}

export async function readGolden(name: string): Promise<Golden> {
  return JSON.parse(await readFile(sharedPath('fixtures', name, 'golden.json')!, 'utf8')) as Golden
}

const modules: readonly (readonly [RegExp, string])[] = [
  [/^(.*)embeddings\.word_embeddings\.weight$/, 'embeddings.word.weight'],
  [/^(.*)embeddings\.position_embeddings\.weight$/, 'embeddings.position.weight'],
  [/^(.*)embeddings\.token_type_embeddings\.weight$/, 'embeddings.token_type.weight'],
  [/^(.*)embeddings\.LayerNorm\.(weight|bias)$/, 'embeddings.layer_norm.$2'],
  [/^()(?:encoder\.)?(?:embeddings_project|embedding_hidden_mapping_in)\.(weight|bias)$/, 'embeddings.projection.$2'],
  [/^(.*)layer\.(\d+)\.attention\.(?:self\.(query|key|value))\.(weight|bias)$/, 'layer.$2.attention.$3.$4'],
  [/^(.*)layer\.(\d+)\.attention\.output\.dense\.(weight|bias)$/, 'layer.$2.attention.output.$3'],
  [/^(.*)layer\.(\d+)\.attention\.output\.LayerNorm\.(weight|bias)$/, 'layer.$2.attention.layer_norm.$3'],
  [/^(.*)layer\.(\d+)\.intermediate\.dense\.(weight|bias)$/, 'layer.$2.ffn.up.$3'],
  [/^(.*)layer\.(\d+)\.output\.dense\.(weight|bias)$/, 'layer.$2.ffn.down.$3'],
  [/^(.*)layer\.(\d+)\.output\.LayerNorm\.(weight|bias)$/, 'layer.$2.ffn.layer_norm.$3'],
  [/^(.*)layer\.(\d+)\.attention\.q_lin\.(weight|bias)$/, 'layer.$2.attention.query.$3'],
  [/^(.*)layer\.(\d+)\.attention\.k_lin\.(weight|bias)$/, 'layer.$2.attention.key.$3'],
  [/^(.*)layer\.(\d+)\.attention\.v_lin\.(weight|bias)$/, 'layer.$2.attention.value.$3'],
  [/^(.*)layer\.(\d+)\.attention\.out_lin\.(weight|bias)$/, 'layer.$2.attention.output.$3'],
  [/^(.*)layer\.(\d+)\.sa_layer_norm\.(weight|bias)$/, 'layer.$2.attention.layer_norm.$3'],
  [/^(.*)layer\.(\d+)\.ffn\.lin1\.(weight|bias)$/, 'layer.$2.ffn.up.$3'],
  [/^(.*)layer\.(\d+)\.ffn\.lin2\.(weight|bias)$/, 'layer.$2.ffn.down.$3'],
  [/^(.*)layer\.(\d+)\.output_layer_norm\.(weight|bias)$/, 'layer.$2.ffn.layer_norm.$3'],
  [/^(.*)pooler\.dense\.(weight|bias)$/, 'pooler.$2'],
]

/** PyTorch's tensors under our public names. Those of heads, and of ALBERT's shared layer, have none. */
export async function trueWeights(arch: string): Promise<Map<string, Float32Array>> {
  const { tensors } = await readSafetensors(sharedPath('fixtures', 'weights', `${arch}.safetensors`)!)
  const named = new Map<string, Float32Array>()
  for (const [name, tensor] of tensors) {
    const rule = modules.find(([pattern]) => pattern.test(name))
    if (rule)
      named.set(
        name.replace(...(rule as [RegExp, string])),
        toFloats(name, { ...tensor, bytes: new Uint8Array(tensor.bytes) }),
      )
  }
  return named
}

/** Largest difference from the golden hidden states, over real tokens of batches without holes or left padding. */
export function largestDifference(imported: ImportedEncoder, golden: Golden): number {
  let largest = 0
  const batches = golden.batches.filter(({ padding }) => padding === 'none' || padding === 'right')
  if (batches.length === 0) return Infinity
  for (const batch of batches) {
    const mask = batch.attention_mask ?? batch.input_ids.map((row) => row.map(() => 1))
    const lengths = mask.map((row) => row.reduce((sum, one) => sum + one, 0))
    const cu = lengths.reduce((list, length) => [...list, list.at(-1)! + length], [0])
    const take = (rows: readonly (readonly number[])[]) => rows.flatMap((row, i) => row.slice(0, lengths[i]))
    const types = batch.token_type_ids ?? batch.input_ids.map((row) => row.map(() => 0))
    const hidden = runEncoder(imported.graph, { ids: take(batch.input_ids), types: take(types), cu })
    const width = imported.config.hidden
    const truth = batch.last_hidden_state ?? batch.last_hidden_state_at_positions!
    truth.forEach((rows, s) => {
      rows.forEach((row, i) => {
        const position = batch.last_hidden_state ? i : batch.positions![i]!
        if (position >= lengths[s]!) return
        row.forEach((value, c) => {
          const difference = Math.abs(value - hidden[(cu[s]! + position) * width + c]!)
          // A NaN must not pass for small.
          if (!(difference <= largest)) largest = difference
        })
      })
    })
  }
  return largest
}
