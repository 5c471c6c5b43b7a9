/** Published weights as ONNX: against PyTorch's values, against ONNX Runtime, and what is refused. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { convertWeights } from '../../lib/backbone/convert.js'
import { loadBackbone } from '../../lib/index.js'
import type { TensorPart } from '../../lib/ir/graph.js'
import { importEncoder } from '../../lib/onnx/import.js'
import { readModel } from '../../lib/onnx/read.js'
import { tensorFloats } from '../../lib/onnx/tensor.js'
import { maxDifference } from '../support/budget.js'
import { partNumbers } from '../support/encoder_reference.js'
import { temporaryFolder } from '../support/folder.js'
import { goldenBackbone, readGolden } from '../support/golden.js'
import { sha256 } from '../support/hub.js'
import {
  halfSafetensorsBytes,
  safetensorsBytes,
  tinyConfig,
  tinyWeights,
  writeWeights,
  type StateDict,
} from '../support/weights.js'
import { lacksRuntime, testUnless } from '../support/unless.js'

async function converted(t: ExecutionContext, tensors: StateDict, config: object = tinyConfig): Promise<Buffer> {
  const folder = await writeWeights(await temporaryFolder(t), tensors, config)
  await convertWeights(folder, join(folder, 'model.onnx'))
  return readFile(join(folder, 'model.onnx'))
}

/** The golden model's weights under the names that PyTorch has for them. */
async function goldenWeights(): Promise<StateDict> {
  const { graph, pooler } = importEncoder(await readModel(join(goldenBackbone('eager'), 'model.onnx')))
  const values = graph.nodes.flatMap((node) => Object.values(node.inputs))
  const parts = new Map([...values, pooler!.weight, pooler!.bias].flatMap(({ parts: own = [] }) => own).map(named))
  return new Map([...parts].map(([name, part]) => [publishedName(name), toStored(part)]))
}

const named = (part: TensorPart) => [part.name, part] as const
const toStored = (part: TensorPart) => ({ shape: part.shape, data: Float32Array.from(partNumbers(part)) })

function publishedName(name: string): string {
  return name
    .replace(/^embeddings\.(word|position|token_type)\./, 'embeddings.$1_embeddings.')
    .replace(/^embeddings\.layer_norm\./, 'embeddings.LayerNorm.')
    .replace(/^pooler\./, 'pooler.dense.')
    .replace(/^layer\./, 'encoder.layer.')
    .replace(/attention\.(query|key|value)\./, 'attention.self.$1.')
    .replace(/attention\.output\./, 'attention.output.dense.')
    .replace(/attention\.layer_norm\./, 'attention.output.LayerNorm.')
    .replace(/ffn\.up\./, 'intermediate.dense.')
    .replace(/ffn\.down\./, 'output.dense.')
    .replace(/ffn\.layer_norm\./, 'output.LayerNorm.')
}

test('hidden states are those of PyTorch', async (t) => {
  const folder = await writeWeights(await temporaryFolder(t), await goldenWeights())
  const { family, parameters } = await convertWeights(folder, join(folder, 'model.onnx'))
  t.is(family, 'bert')
  const backbone = await loadBackbone(folder, { verify: false })
  t.is(backbone.config.parameters, parameters)
  const { inputIds, tokenTypeIds, tensors } = readGolden()
  const encoder = await backbone.encoder({ device: 'cpu', threads: 1 })
  const rows = await encoder.encode({ inputIds, tokenTypeIds })
  rows.forEach((row, i) => t.true(maxDifference(row, tensors.get(`hidden/${i}`)!.data) < 2e-6, `row ${i}`))
  await encoder.dispose()
})

test('the same weights give the same bytes, whatever release made them', async (t) => {
  // Runs name the sha256 of their backbone: a change here takes the backbone away from every run that was trained on a
  // converted one.
  t.is(sha256(await converted(t, tinyWeights())), goldenHash)
})

const goldenHash = '1fc2e4b49295073a899863c6ead0a44f9af27c901ec7a6c11f5fa5aaa3c9fe8f'

test('prefixes and the names of TensorFlow make no difference', async (t) => {
  const plain = await converted(t, tinyWeights())
  for (const prefix of ['bert.', 'model.', 'model.bert.', '0.auto_model.']) {
    t.deepEqual(await converted(t, tinyWeights(prefix)), plain, prefix)
  }
  const old = new Map(
    [...tinyWeights('bert.')].map(([name, tensor]) => [
      name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'),
      tensor,
    ]),
  )
  // Of a whole model with its head, and the ids that older versions stored.
  old.set('cls.predictions.bias', { shape: [50], data: new Float32Array(50) })
  old.set('bert.embeddings.position_ids', { shape: [1, 16], data: new Float32Array(16) })
  t.deepEqual(await converted(t, old), plain)
})

test('half floats are widened', async (t) => {
  for (const type of ['F16', 'BF16'] as const) {
    const folder = await writeWeights(await temporaryFolder(t), tinyWeights())
    await writeFile(join(folder, 'model.safetensors'), halfSafetensorsBytes(tinyWeights(), type))
    await convertWeights(folder, join(folder, 'model.onnx'))
    const model = await readModel(join(folder, 'model.onnx'))
    const table = model.graph!.initializer.find(({ name }) => name === 'embeddings.word_embeddings.weight')!
    const values = tensorFloats(table)
    const exact = tinyWeights().get('embeddings.word_embeddings.weight')!.data
    t.true(values instanceof Float32Array)
    t.is(values.length, exact.length)
    const step = type === 'F16' ? 2 ** -10 : 2 ** -7
    exact.forEach((value, i) => {
      if (Math.abs(values[i]! - value) > Math.max(6.2e-5, step * Math.abs(value))) t.fail(`${type} ${i}: ${value}`)
    })
    t.is((await loadBackbone(folder, { verify: false })).config.weightType, 'f32')
  }
})

test('without pooler or token types', async (t) => {
  const tensors = tinyWeights()
  for (const name of ['pooler.dense.weight', 'pooler.dense.bias']) tensors.delete(name)
  const folder = await writeWeights(await temporaryFolder(t), tensors)
  await convertWeights(folder, join(folder, 'model.onnx'))
  const model = await readModel(join(folder, 'model.onnx'))
  t.deepEqual(
    model.graph!.output.map(({ name }) => name),
    ['last_hidden_state'],
  )
  t.false(importEncoder(model).config.pooler)
})

const activations = {
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  relu: 'relu',
  silu: 'silu',
} as const

for (const [act, kind] of Object.entries(activations)) {
  testUnless(lacksRuntime, `activation ${act} in ONNX Runtime`, async (t) => {
    const config = { ...tinyConfig, hidden_act: act }
    const folder = await writeWeights(await temporaryFolder(t), tinyWeights(), config)
    await convertWeights(folder, join(folder, 'model.onnx'))
    const backbone = await loadBackbone(folder, { verify: false })
    t.is(backbone.config.activation, kind)
    t.true((await backbone.verify()).maxAbsDifference! < 2e-5)
  })
}

test('a large model has its tensors in a second file', async (t) => {
  const folder = await writeWeights(await temporaryFolder(t), tinyWeights())
  const model = join(folder, 'model.onnx')
  await convertWeights(folder, model)
  const whole = (await readModel(model)).graph!.initializer
  await convertWeights(folder, model, { largestFile: 50_000 })
  t.true((await stat(model)).size < 50_000)
  t.true((await readdir(folder)).includes('model.onnx_data'))
  const parts = new Map((await readModel(model)).graph!.initializer.map((tensor) => [tensor.name, tensor]))
  t.is(parts.size, whole.length)
  for (const { name, rawData } of whole)
    t.deepEqual(Buffer.from(parts.get(name)!.rawData!), Buffer.from(rawData!), name)
  t.is((await loadBackbone(folder, { verify: false })).config.layers, 2)
})

test('what config.json says and the converter cannot do is refused', async (t) => {
  const refused: [object, RegExp][] = [
    [{ model_type: 'albert' }, /"model_type" must be one of bert, .*; it is "albert".*DistilBERT and ELECTRA/],
    [{ model_type: undefined, architectures: ['T5Model'] }, /"model_type".*"T5Model"/],
    [{ is_decoder: true }, /"is_decoder" must be false/],
    [{ add_cross_attention: true }, /"add_cross_attention" must be false/],
    [{ position_embedding_type: 'relative_key' }, /"position_embedding_type" must be "absolute"; it is "relative_key"/],
    [{ pruned_heads: { 0: [1] } }, /"pruned_heads".*\{"0":\[1\]\}/],
    [{ quantization_config: { bits: 4 } }, /"quantization_config"/],
    [{ auto_map: { AutoModel: 'other.py' } }, /"auto_map"/],
    [{ hidden_act: 'quick_gelu' }, /"hidden_act" must be one of gelu, .*"quick_gelu"/],
    [{ num_attention_heads: 5 }, /"hidden_size" must be a multiple of "num_attention_heads" \(5\)/],
  ]
  for (const [change, message] of refused) {
    const attempt = converted(t, tinyWeights(), { ...tinyConfig, ...change })
    await t.throwsAsync(attempt, { code: 'ERR_BACKBONE_UNSUPPORTED', message }, JSON.stringify(change))
  }
  for (const change of [{ num_hidden_layers: 0 }, { vocab_size: '50' }, { layer_norm_eps: -1 }]) {
    const attempt = converted(t, tinyWeights(), { ...tinyConfig, ...change })
    await t.throwsAsync(attempt, { code: 'ERR_BACKBONE_CONFIG' }, JSON.stringify(change))
  }
  // Empty, and of the first years.
  const plain = { ...tinyConfig, model_type: undefined, pruned_heads: {}, is_decoder: false, auto_map: null }
  t.is(sha256(await converted(t, tinyWeights(), plain)), goldenHash)
})

test('weights that do not fit their config are refused', async (t) => {
  const change = (edit: (tensors: StateDict) => void) => {
    const tensors = tinyWeights('bert.')
    edit(tensors)
    return converted(t, tensors)
  }
  const weights = (message: RegExp) => ({ code: 'ERR_BACKBONE_WEIGHTS', message })
  const lost = change((tensors) => tensors.delete('bert.encoder.layer.1.output.dense.bias'))
  await t.throwsAsync(lost, weights(/no tensor "bert\.encoder\.layer\.1\.output\.dense\.bias", expected \[32\]/))
  const wide = { shape: [50, 31], data: new Float32Array(50 * 31) }
  const narrow = change((tensors) => tensors.set('bert.embeddings.word_embeddings.weight', wide))
  await t.throwsAsync(narrow, weights(/has the shape \[50, 31\], expected \[50, 32\]/))
  const extra = { shape: [32, 32], data: new Float32Array(1024) }
  const deep = change((tensors) => tensors.set('bert.encoder.layer.2.attention.self.query.weight', extra))
  await t.throwsAsync(deep, weights(/have 3 layers, config\.json counts 2/))
  const none = converted(t, new Map([['wte.weight', extra]]))
  await t.throwsAsync(none, weights(/not those of a BERT-like encoder/))
  const two = converted(t, new Map([...tinyWeights('left.'), ...tinyWeights('right.')]))
  await t.throwsAsync(two, weights(/several encoders in it \("left\.", "right\."\)/))
})

test('files that are missing, broken or somewhere else', async (t) => {
  const folder = await temporaryFolder(t)
  const model = join(folder, 'model.onnx')
  const fails = (code: string, message: RegExp) => t.throwsAsync(convertWeights(folder, model), { code, message })
  await fails('ERR_BACKBONE_CONFIG', /config\.json: cannot be read/)
  await writeFile(join(folder, 'config.json'), '{')
  await fails('ERR_BACKBONE_CONFIG', /not valid JSON/)
  await writeFile(join(folder, 'config.json'), JSON.stringify(tinyConfig))
  await fails('ERR_BACKBONE_WEIGHTS', /neither model\.safetensors nor model\.safetensors\.index\.json/)
  const index = (content: unknown) => writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify(content))
  await index([])
  await fails('ERR_BACKBONE_WEIGHTS', /no "weight_map"/)
  await index({ weight_map: { a: '../model.safetensors' } })
  await fails('ERR_BACKBONE_WEIGHTS', /"\.\.\/model\.safetensors", which is no safetensors file beside it/)
  await index({ weight_map: { a: 'part.safetensors' } })
  await fails('ERR_BACKBONE_WEIGHTS', /part\.safetensors: cannot be read/)
  const bytes = safetensorsBytes(tinyWeights())
  await writeFile(join(folder, 'model.safetensors'), bytes.subarray(0, bytes.length - 4))
  await fails('ERR_BACKBONE_WEIGHTS', /ends at byte/)
  t.deepEqual(
    (await readdir(folder)).filter((name) => /onnx|tmp/.test(name)),
    [],
  )
})

test('a model that cannot be written', async (t) => {
  const folder = await writeWeights(await temporaryFolder(t), tinyWeights(), tinyConfig)
  await t.throwsAsync(convertWeights(folder, join(folder, 'absent', 'model.onnx')), {
    code: 'ERR_RUN_WRITE',
    message: /model\.onnx: cannot be written: its folder is not there \(ENOENT\)/,
  })
})

test('what is no path, and options that are none', async (t) => {
  const convert = convertWeights as (...args: unknown[]) => Promise<unknown>
  const fails = (args: unknown[], message: RegExp) => t.throwsAsync(convert(...args), { code: 'ERR_OPTION', message })
  await fails([], /"folder" must be a path, not undefined/)
  await fails(['a'], /"model" must be a path, not undefined/)
  await fails(['a', 'b', { weight: 'c' }], /unknown option "weight"; did you mean "weights"/)
  await fails(['a', 'b', { weights: 3 }], /"weights" must be a path, not 3/)
  await fails(['a', 'b', { largestFile: -1 }], /"largestFile"/)
})
