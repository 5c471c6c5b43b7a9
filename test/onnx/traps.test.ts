/**
 * Files that look like an encoder that they are not, or that mean something else than they seem to: each is read right
 * or refused, never taken for its neighbour. The engine's values are compared with ONNX Runtime's on the same file.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { DataError, inspect, loadBackbone, OnnxImportError } from '../../lib/index.js'
import { importEncoder } from '../../lib/onnx/import.js'
import type { OnnxModel } from '../../lib/onnx/schema.js'
import { writeModel } from '../../lib/onnx/write.js'
import { essence } from '../support/essence.js'
import { temporaryFolder } from '../support/folder.js'
import { floats, integers, type ModelBuilder, tinyBert, type TinyBertOptions } from '../support/onnx_models.js'
import { lacksRuntime, testUnless } from '../support/unless.js'

async function folderOf(t: ExecutionContext, model: OnnxModel, config?: object): Promise<string> {
  const folder = await temporaryFolder(t)
  await writeModel(model, join(folder, 'model.onnx'))
  if (config) await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  return folder
}

/** The comparison with ONNX Runtime that every file goes through. */
async function agrees(t: ExecutionContext, model: OnnxModel, config?: object): Promise<void> {
  const { maxAbsDifference } = await inspect(await folderOf(t, model, config))
  t.true(maxAbsDifference! < 1e-5, String(maxAbsDifference))
}

// A decoder whose mask alone differs

const length = (b: ModelBuilder) =>
  b.add('Gather', [b.add('Shape', ['input_ids']), b.tensor(integers([], [1]))], { axis: 0 })

/** 1 where a key is not behind its query. */
function triangle(b: ModelBuilder): string {
  const size = length(b)
  const range = b.add('Range', [b.tensor(integers([], [0])), size, b.tensor(integers([], [1]))])
  const seen = b.add('LessOrEqual', [b.add('Unsqueeze', [range, b.list(0)]), b.add('Unsqueeze', [range, b.list(1)])])
  return b.add('Cast', [seen], { to: 1 })
}

const causal: Readonly<Record<string, NonNullable<TinyBertOptions['bias']>>> = {
  'multiplied into the padding mask': (b) => {
    const kept = b.add('Cast', [b.add('Unsqueeze', ['attention_mask', b.list(1, 2)])], { to: 1 })
    const both = b.add('Mul', [kept, triangle(b)])
    return b.add('Mul', [b.add('Sub', [b.scalar(1), both]), b.scalar(-3.4028234663852886e38)])
  },
  'and-ed with the padding mask': (b) => {
    const kept = b.add('Cast', [b.add('Unsqueeze', ['attention_mask', b.list(1, 2)])], { to: 9 })
    const both = b.add('And', [kept, b.add('Cast', [triangle(b)], { to: 9 })])
    return b.add('Where', [both, b.scalar(0), b.scalar(-1e9)])
  },
  'the upper triangle of a matrix of the lowest number': (b, padding) => {
    const size = b.add('Unsqueeze', [length(b), b.list(0)])
    const square = b.add('Expand', [b.scalar(-1e9), b.add('Concat', [size, size], { axis: 0 })])
    return b.add('Add', [padding, b.add('Trilu', [square, b.tensor(integers([], [1]))], { upper: 1 })])
  },
  'in place of the padding mask': (b) => b.add('Mul', [b.add('Sub', [b.scalar(1), triangle(b)]), b.scalar(-1e9)]),
}

for (const [how, bias] of Object.entries(causal)) {
  test(`a decoder is told by its mask alone: ${how}`, (t) => {
    const error = t.throws(() => importEncoder(tinyBert({ bias })), { instanceOf: OnnxImportError })
    t.is(error?.code, 'ERR_ONNX_CAUSAL', error?.message)
  })
}

// Heads that look like a part of the encoder

const heads: Readonly<Record<string, NonNullable<TinyBertOptions['after']>>> = {
  'a masked-LM head with a LayerNorm of its own': (b, x) =>
    b.linear(b.layerNorm(b.add('Gelu', [b.linear(x, 8, 8)]), 8), 8, 20),
  'a feed-forward block with residual and LayerNorm, but no attention': (b, x) =>
    b.layerNorm(b.add('Add', [b.linear(b.add('Relu', [b.linear(x, 8, 12)]), 12, 8), x]), 8),
}

for (const [what, after] of Object.entries(heads)) {
  test(`left out: ${what}`, (t) => {
    const model = tinyBert({ after })
    model.opsetImport[0]!.version = 20
    const found = importEncoder(model)
    const plain = importEncoder(tinyBert())
    t.deepEqual(essence(found), essence(plain))
    t.false(found.hiddenIsGraphOutput)
  })
  testUnless(lacksRuntime, `the right value is compared: ${what}`, async (t) => {
    const model = tinyBert({ after })
    model.opsetImport[0]!.version = 20
    await agrees(t, model)
  })
}

// Activations are read from the graph

const tanhGelu = (b: ModelBuilder, x: string) => {
  const cube = b.add('Mul', [b.add('Mul', [x, x]), x])
  const inner = b.add('Add', [x, b.add('Mul', [b.scalar(0.044715), cube])])
  const curve = b.add('Tanh', [b.add('Mul', [b.scalar(Math.sqrt(2 / Math.PI)), inner])])
  return b.add('Mul', [b.add('Mul', [b.scalar(0.5), x]), b.add('Add', [b.scalar(1), curve])])
}

const erfGelu = (b: ModelBuilder, x: string) => {
  const curve = b.add('Erf', [b.add('Div', [x, b.scalar(Math.SQRT2)])])
  return b.add('Mul', [b.add('Mul', [x, b.add('Add', [curve, b.scalar(1)])]), b.scalar(0.5)])
}

for (const [said, activation, kind] of [
  ['gelu', tanhGelu, 'gelu_tanh'],
  ['gelu_new', erfGelu, 'gelu'],
] as const) {
  test(`config.json says ${said}, the graph computes ${kind}`, async (t) => {
    const config = { model_type: 'bert', hidden_act: said, num_hidden_layers: 7, num_attention_heads: 1 }
    const folder = await folderOf(t, tinyBert({ activation }), config)
    t.like(await inspect(folder, { verify: false }), { activation: kind, layers: 2, heads: 2 })
  })
  testUnless(lacksRuntime, `and computes it: ${kind}`, (t) =>
    agrees(t, tinyBert({ activation }), { model_type: 'bert', hidden_act: said }),
  )
}

// ONNX Runtime's fused attention, whose mask input may be the number of real tokens

const fused =
  (mask: (b: ModelBuilder) => string): NonNullable<TinyBertOptions['attention']> =>
  (b, x) =>
    b.add('Attention', [x, b.random(8, 24), b.random(24), mask(b)], { num_heads: 2 }, 'com.microsoft')

const int32Mask = (b: ModelBuilder) => b.add('Cast', ['attention_mask'], { to: 6 })
const counted = (b: ModelBuilder) => b.add('ReduceSum', [int32Mask(b), b.list(1)], { keepdims: 0 })

function fusedBert(mask: (b: ModelBuilder) => string): OnnxModel {
  const model = tinyBert({ attention: fused(mask) })
  model.opsetImport.push({ domain: 'com.microsoft', version: 1 })
  return model
}

test('a mask that is counted is the mask, where padding comes last', (t) => {
  // The order in which the weights are made is the same.
  const [byMask, byCount] = [importEncoder(fusedBert(int32Mask)), importEncoder(fusedBert(counted))]
  t.true(byCount.config.inputs.includes('attention_mask'))
  t.is(byCount.config.layers, byMask.config.layers)
})

testUnless(lacksRuntime, 'fused attention with a count computes the same as ours', async (t) => {
  await agrees(t, fusedBert(counted))
  await agrees(t, fusedBert(int32Mask))
})

test('a count that is not that of the mask is refused', (t) => {
  const wrong: ((b: ModelBuilder) => string)[] = [
    (b) => b.add('Add', [counted(b), b.add('Cast', [b.list(1)], { to: 6 })]),
    (b) => b.add('ReduceSum', [b.add('Cast', ['token_type_ids'], { to: 6 }), b.list(1)], { keepdims: 0 }),
    (b) => b.add('ReduceSum', [int32Mask(b), b.list(0)], { keepdims: 0 }),
  ]
  for (const mask of wrong) t.throws(() => importEncoder(fusedBert(mask)), { instanceOf: OnnxImportError })
})

// RoBERTa's positions count ids

const pad = 1

/** pad + (number of tokens so far that are not the pad), pad for the pad itself. */
function countedPlaces(b: ModelBuilder, of: (b: ModelBuilder) => string): string {
  const real = b.add('Cast', [of(b)], { to: 7 })
  const count = b.add('Mul', [b.add('CumSum', [real, b.tensor(integers([], [1]))]), real])
  return b.add('Add', [count, b.tensor(integers([], [pad]))])
}

const notPad = (b: ModelBuilder) => b.add('Not', [b.add('Equal', ['input_ids', b.tensor(integers([], [pad]))])])

const roberta = () => tinyBert({ places: (b) => countedPlaces(b, notPad) })

test('positions that count ids begin behind the pad', (t) => {
  t.like(importEncoder(roberta()).config, { architecture: 'roberta', positionOffset: 2, pad: 1, positions: 14 })
})

testUnless(lacksRuntime, 'positions that count ids are those of ONNX Runtime', (t) => agrees(t, roberta()))

test('padding among real tokens is refused where positions do not count it', async (t) => {
  const backbone = await loadBackbone(await folderOf(t, roberta()), { verify: false })
  await using encoder = await backbone.encoder({ device: 'cpu', threads: 1 })
  const error = await t.throwsAsync(
    encoder.encode({
      inputIds: [
        [4, 5],
        [4, 1, 5],
      ],
    }),
    { instanceOf: DataError },
  )
  t.like(error, { code: 'ERR_DATA_TOKEN' })
  t.regex(error!.message, /row 1 .* holds 1 at position 1, the id of padding/)
})

test('positions that count the mask, or something else of the ids, are refused', (t) => {
  const others: ((b: ModelBuilder) => string)[] = [
    (b) => countedPlaces(b, () => 'attention_mask'),
    (b) => countedPlaces(b, () => 'token_type_ids'),
    (b) => countedPlaces(b, () => b.add('Equal', ['input_ids', b.tensor(integers([], [pad]))])),
    (b) => countedPlaces(b, () => b.add('Less', ['input_ids', b.tensor(integers([], [5]))])),
    // Twice the count.
    (b) => b.add('Mul', [countedPlaces(b, notPad), b.tensor(integers([], [2]))]),
  ]
  for (const places of others) t.throws(() => importEncoder(tinyBert({ places })), { instanceOf: OnnxImportError })
})

// Scores and sums that are off by something small

test('a temperature for each head, and a bias on values of the scores, are refused', (t) => {
  const perHead = (b: ModelBuilder, query: string, key: string) =>
    b.add('Mul', [
      b.add('MatMul', [query, b.add('Transpose', [key], { perm: [0, 1, 3, 2] })]),
      b.tensor(floats([1, 2, 1, 1], [1, 1.01])),
    ])
  t.throws(() => importEncoder(tinyBert({ product: perHead })), { instanceOf: OnnxImportError })
  const sharpened = (b: ModelBuilder, scores: string) => b.add('Softmax', [b.add('Tanh', [scores])], { axis: -1 })
  t.throws(() => importEncoder(tinyBert({ softmax: sharpened })), { instanceOf: OnnxImportError })
  const doubled = (b: ModelBuilder, scores: string) =>
    b.add('Mul', [b.add('Softmax', [scores], { axis: -1 }), b.scalar(1.01)])
  t.throws(() => importEncoder(tinyBert({ softmax: doubled })), { instanceOf: OnnxImportError })
})

test('a GELU with a constant that is a little off is refused', (t) => {
  for (const wrong of [1.4, 1.45, Math.sqrt(3)]) {
    const activation = (b: ModelBuilder, x: string) => {
      const curve = b.add('Erf', [b.add('Div', [x, b.scalar(wrong)])])
      return b.add('Mul', [b.add('Mul', [x, b.add('Add', [curve, b.scalar(1)])]), b.scalar(0.5)])
    }
    t.throws(() => importEncoder(tinyBert({ activation })), { instanceOf: OnnxImportError }, String(wrong))
  }
})
