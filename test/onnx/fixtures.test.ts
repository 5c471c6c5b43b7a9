/** Every shared fixture: imported with the right configuration, weights and values, or refused with a reason. */
import test, { type ExecutionContext } from 'ava'
import { OnnxImportError } from '../../lib/errors.js'
import { type ImportedEncoder, importEncoder } from '../../lib/onnx/import.js'
import { readModel } from '../../lib/onnx/read.js'
import { halfToFloat } from '../../lib/formats/half.js'
import { partNumbers } from '../support/encoder_reference.js'
import { type Golden, fixtures, largestDifference, readGolden, trueWeights } from '../support/onnx_fixtures.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

const refusals: Record<string, string> = {
  'bert-int8': 'ERR_ONNX_QUANTIZED',
  'bert-qdq': 'ERR_ONNX_QUANTIZED',
  'bert-decoder-legacy14-eager': 'ERR_ONNX_CAUSAL',
  'bert-relkey-legacy14-eager': 'ERR_ONNX_UNSUPPORTED',
  'mpnet-legacy14-eager': 'ERR_ONNX_UNSUPPORTED',
}

const activations: Record<string, string> = {
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  relu: 'relu',
}

const found = fixtures()
if (!found.length)
  testUnless(lacksShared(sharedPath('fixtures')), 'the import of every fixture', (t) => t.fail('no fixtures'))

for (const { name, model } of found) {
  const code = refusals[name]
  if (code) {
    test(`${name} is refused`, async (t) => {
      const file = await readModel(model)
      const error = t.throws(() => importEncoder(file), { instanceOf: OnnxImportError })
      t.is(error?.code, code)
      t.truthy(error?.details.node)
      t.truthy(error?.details.expected)
    })
  } else {
    test(`${name} is imported`, async (t) => {
      const golden = await readGolden(name)
      const imported = importEncoder(await readModel(model))
      compareConfig(t, imported, golden)
      await compareWeights(t, imported, golden)
      const difference = largestDifference(imported, golden)
      t.true(difference <= golden.tolerance!, `differs by ${difference}`)
    })
  }
}

function compareConfig(
  t: ExecutionContext,
  { config, hiddenOutput, hiddenIsGraphOutput }: ImportedEncoder,
  golden: Golden,
): void {
  const truth = golden.expected_architecture
  t.like(config, {
    layers: truth.num_hidden_layers,
    hidden: truth.hidden_size,
    heads: truth.num_attention_heads,
    feedForward: truth.intermediate_size,
    activation: activations[truth.hidden_act]!,
    vocabulary: truth.vocab_size,
    tokenTypes: truth.type_vocab_size,
    positions: truth.max_position_embeddings - config.positionOffset,
  })
  if (config.weightType === 'f32') t.is(config.epsilon, truth.layer_norm_eps)
  if (truth.pooler_in_onnx) t.true(config.pooler)
  t.deepEqual([...config.inputs].sort(), golden.onnx_inputs.map((input) => input.name).sort())
  const outputs = golden.onnx_outputs.map((output) => output.name)
  t.is(outputs.includes(hiddenOutput), hiddenIsGraphOutput)
  if (outputs.includes('last_hidden_state')) t.is(hiddenOutput, 'last_hidden_state')
}

async function compareWeights(t: ExecutionContext, imported: ImportedEncoder, golden: Golden): Promise<void> {
  const truth = await trueWeights(golden.arch)
  const pooler = imported.pooler ? Object.values(imported.pooler) : []
  const values = [...imported.graph.nodes.flatMap((node) => Object.values(node.inputs)), ...pooler]
  const parts = values.flatMap((value) => value.parts ?? [])
  const expected = [...truth.keys()].filter((name) => imported.pooler !== undefined || !name.startsWith('pooler'))
  if (golden.arch !== 'albert') t.deepEqual(parts.map((part) => part.name).sort(), expected.sort())
  for (const part of parts) {
    const weights = truth.get(part.name)
    if (!weights) continue
    const numbers = partNumbers(part)
    t.is(numbers.length, weights.length, part.name)
    const exact = part.data instanceof Float32Array
    const wrong = numbers.findIndex((x, i) =>
      exact ? x !== weights[i] : Math.abs(x - weights[i]!) > 1e-3 * Math.abs(weights[i]!) + halfToFloat(1),
    )
    t.is(wrong, -1, `${part.name} differs at ${wrong}`)
  }
}
