/** Encoders of kinds that cannot be lifted yet: the error names what is missing, and the node. */
import test from 'ava'
import { OnnxImportError } from '../../lib/errors.js'
import { importEncoder } from '../../lib/onnx/import.js'
import { readModel } from '../../lib/onnx/read.js'
import type { OnnxModel } from '../../lib/onnx/schema.js'
import { integers, ModelBuilder, tinyBert } from '../support/onnx_models.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

/** One layer, x + attention(LN(x)) and x + feed-forward(LN(x)), and a LayerNorm at the end. */
function preNorm(): OnnxModel {
  const b = new ModelBuilder()
  const places = b.add('Range', [
    b.tensor(integers([], [0])),
    b.add('Gather', [b.add('Shape', ['input_ids']), b.tensor(integers([], [1]))], { axis: 0 }),
    b.tensor(integers([], [1])),
  ])
  const words = b.add('Gather', [b.random(20, 8), 'input_ids'])
  let x = b.add('Add', [words, b.add('Gather', [b.random(16, 8), places])])
  const n = b.layerNorm(x, 8)
  const cut = (y: string, perm: readonly number[]) =>
    b.add('Transpose', [b.add('Reshape', [y, b.list(0, 0, 2, 4)])], { perm })
  const head = (perm: readonly number[]) => cut(b.linear(n, 8, 8), perm)
  const scores = b.add('Mul', [b.add('MatMul', [head([0, 2, 1, 3]), head([0, 2, 3, 1])]), b.scalar(0.5)])
  const mixed = b.add('MatMul', [b.add('Softmax', [scores], { axis: -1 }), head([0, 2, 1, 3])])
  const merged = b.add('Reshape', [b.add('Transpose', [mixed], { perm: [0, 2, 1, 3] }), b.list(0, 0, 8)])
  x = b.add('Add', [b.linear(merged, 8, 8), x])
  x = b.add('Add', [b.linear(b.add('Relu', [b.linear(b.layerNorm(x, 8), 8, 12)]), 12, 8), x])
  return b.model(['input_ids'], [b.layerNorm(x, 8)])
}

/** x · cos + x · sin of angles by place, as far as it matters here. */
const rotate = (b: ModelBuilder, x: string) => {
  const angle = b.add('Mul', [b.add('Cast', ['input_ids'], { to: 1 }), b.scalar(0.1)])
  const times = (curve: string) => b.add('Mul', [x, b.add('Unsqueeze', [b.add(curve, [angle]), b.list(1, 3)])])
  return b.add('Add', [times('Cos'), times('Sin')])
}

const cases: Readonly<Record<string, { readonly model: () => OnnxModel; readonly missing: RegExp }>> = {
  'pre-LayerNorm layers': { model: preNorm, missing: /^pre-LayerNorm layers/ },
  QuickGELU: {
    model: () =>
      tinyBert({
        activation: (b, x) => b.add('Mul', [x, b.add('Sigmoid', [b.add('Mul', [b.scalar(1.702), x])])]),
      }),
    missing: /QuickGELU/,
  },
  'a gated feed-forward': {
    model: () => tinyBert({ activation: (b, x) => b.add('Mul', [b.add('Relu', [x]), b.linear(x, 12, 12)]) }),
    missing: /gated feed-forwards/,
  },
  'rotary positions': {
    model: () =>
      tinyBert({
        product: (b, query, key) =>
          b.add('MatMul', [rotate(b, query), b.add('Transpose', [rotate(b, key)], { perm: [0, 1, 3, 2] })]),
      }),
    missing: /rotary positions/,
  },
  'RMS normalisation': {
    model: () => {
      const model = tinyBert()
      for (const node of model.graph!.node)
        if (node.opType === 'LayerNormalization')
          Object.assign(node, { opType: 'RMSNormalization', input: node.input.slice(0, 2) })
      return model
    },
    missing: /RMS normalisation/,
  },
}

for (const [what, { model, missing }] of Object.entries(cases)) {
  test(`what is missing has a name: ${what}`, (t) => {
    const error = t.throws(() => importEncoder(model()), { instanceOf: OnnxImportError })!
    t.is(error.code, 'ERR_ONNX_UNSUPPORTED')
    t.regex(String(error.details.missing), missing)
    t.true(error.message.includes(`What is missing here: ${String(error.details.missing)}.`))
    t.truthy(error.details.node)
  })
}

test('what is of no known kind has no name', (t) => {
  const error = t.throws(() => importEncoder(tinyBert({ activation: (b, x) => b.add('Sin', [x]) })))
  t.is((error as OnnxImportError).details.missing, undefined)
})

testUnless(lacksShared(sharedPath('fixtures')), 'what the fixtures lack has a name', async (t) => {
  const wanted = {
    'mpnet-legacy14-eager': /bucketed relative position biases .* 32x4/,
    'bert-relkey-legacy14-eager': /relative-key position scores/,
  }
  for (const [name, missing] of Object.entries(wanted)) {
    const model = await readModel(sharedPath('fixtures', name, 'model.onnx')!)
    const error = t.throws(() => importEncoder(model), { instanceOf: OnnxImportError })!
    t.regex(String(error.details.missing), missing, name)
  }
})
