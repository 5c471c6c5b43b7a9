/** Converted weights of every family against PyTorch's values. */
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { convertWeights } from '../../lib/backbone/convert.js'
import { loadBackbone } from '../../lib/index.js'
import { maxDifference } from '../support/budget.js'
import { temporaryFolder } from '../support/folder.js'
import type { Golden, GoldenBatch } from '../support/onnx_fixtures.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { lacksRuntime, testUnless } from '../support/unless.js'

const fixtures = sharedPath('fixtures')
const lacks = lacksShared(fixtures)

/** Weights, and a fixture with their config and values. */
const supported = {
  bert: 'bert-legacy14-eager',
  'bert-odd': 'bert-odd-legacy17-eager',
  'bert-mlm': 'bert-mlm-legacy14-eager',
  'bert-seqcls': 'bert-seqcls-legacy17-sdpa',
  'bert-nopool': 'bert-nopool-legacy14-sdpa',
  'bert-gelunew': 'bert-gelunew-legacy14-sdpa',
  'bert-gelutanh': 'bert-gelutanh-legacy14-eager',
  'bert-relu': 'bert-relu-legacy14-eager',
  roberta: 'roberta-legacy14-eager',
  'xlm-roberta': 'xlm-roberta-optimum',
  camembert: 'camembert-hubera11',
  distilbert: 'distilbert-legacy14-eager',
  electra: 'electra-legacy14-eager',
}

const refused = {
  albert: 'albert-legacy14-eager',
  mpnet: 'mpnet-legacy14-eager',
  'bert-decoder': 'bert-decoder-legacy14-eager',
  'bert-relkey': 'bert-relkey-legacy14-eager',
}

async function weightsOf(folder: string, weights: string, fixture: string): Promise<string> {
  const target = join(folder, weights)
  await mkdir(target, { recursive: true })
  await copyFile(join(fixtures!, 'weights', `${weights}.safetensors`), join(target, 'model.safetensors'))
  await copyFile(join(fixtures!, fixture, 'config.json'), join(target, 'config.json'))
  return target
}

testUnless(lacks, 'the engine gives PyTorch’s values', async (t) => {
  const all = await temporaryFolder(t)
  for (const [weights, fixture] of Object.entries(supported)) {
    const folder = await weightsOf(all, weights, fixture)
    await convertWeights(folder, join(folder, 'model.onnx'))
    const golden = JSON.parse(await readFile(join(fixtures!, fixture, 'golden.json'), 'utf8')) as Golden
    const backbone = await loadBackbone(folder, { verify: false })
    const encoder = await backbone.encoder({ device: 'cpu', threads: 1 })
    for (const batch of golden.batches.filter((each) => each.padding === 'none' && each.last_hidden_state)) {
      const tokenTypeIds = backbone.config.tokenTypes > 1 ? (batch.token_type_ids as number[][]) : undefined
      const rows = await encoder.encode({ inputIds: batch.input_ids as number[][], tokenTypeIds })
      rows.forEach((row, i) => {
        const difference = maxDifference(row, batch.last_hidden_state![i]!.flat())
        t.true(difference < 5e-6, `${weights}, batch ${batch.name}, row ${i}: ${difference}`)
      })
    }
    await encoder.dispose()
  }
})

testUnless(lacks ?? lacksRuntime, 'padding and pooler in ONNX Runtime', async (t) => {
  process.env['ORT_DISABLE_TELEMETRY'] = '1'
  const runtime = await import('onnxruntime-node')
  const all = await temporaryFolder(t)
  for (const [weights, fixture] of Object.entries(supported)) {
    const folder = await weightsOf(all, weights, fixture)
    await convertWeights(folder, join(folder, 'model.onnx'))
    const golden = JSON.parse(await readFile(join(fixtures!, fixture, 'golden.json'), 'utf8')) as Golden
    const session = await runtime.InferenceSession.create(join(folder, 'model.onnx'), { intraOpNumThreads: 1 })
    for (const batch of golden.batches.filter((each) => each.last_hidden_state && each.attention_mask)) {
      const results = await session.run(feeds(runtime.Tensor, session, batch))
      const hidden = results['last_hidden_state']!.data as Float32Array
      const kept = batch.attention_mask!.flat()
      const width = hidden.length / kept.length
      batch.last_hidden_state!.flat().forEach((want, place) => {
        if (kept[place] === 0) return
        const difference = maxDifference(hidden.subarray(place * width, (place + 1) * width), want)
        t.true(difference < 1e-5, `${weights}, batch ${batch.name}, place ${place}: ${difference}`)
      })
      const { pooler_output: pooled } = batch as { pooler_output?: number[][] }
      const ours = results['pooler_output']
      if (pooled && ours) t.true(maxDifference(ours.data as Float32Array, pooled.flat()) < 1e-5, `${weights}: pooler`)
    }
    await session.release()
  }
})

function feeds(make: typeof Tensor, session: InferenceSession, batch: GoldenBatch): Record<string, Tensor> {
  const given = {
    input_ids: batch.input_ids,
    attention_mask: batch.attention_mask!,
    token_type_ids: batch.token_type_ids ?? batch.input_ids.map((row) => row.map(() => 0)),
  }
  const shape = [batch.input_ids.length, batch.input_ids[0]!.length]
  const tensor = (name: string) =>
    new make('int64', BigInt64Array.from(given[name as keyof typeof given].flat(), BigInt), shape)
  return Object.fromEntries(session.inputNames.map((name) => [name, tensor(name)]))
}

testUnless(lacks, 'other kinds are refused', async (t) => {
  const all = await temporaryFolder(t)
  for (const [weights, fixture] of Object.entries(refused)) {
    const folder = await weightsOf(all, weights, fixture)
    await t.throwsAsync(
      convertWeights(folder, join(folder, 'model.onnx')),
      { code: 'ERR_BACKBONE_UNSUPPORTED' },
      weights,
    )
  }
})
