/**
 * Input that cannot be used, from the command line: each ends with one line that says what is wrong, the exit code for
 * it, and nothing on standard output or in the folder of the run.
 */
import { existsSync } from 'node:fs'
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { DataType, type OnnxModel, type OnnxTensor } from '../../lib/onnx/schema.js'
import { plainTensor } from '../../lib/onnx/tensor.js'
import { encodeModel, writeModel } from '../../lib/onnx/write.js'
import { cli } from '../support/cli.js'
import { asTsv, colourRows, temporaryFolder, tinyTokenizer, writeFiles } from '../support/folder.js'
import { ModelBuilder, floats, onnxNode, tinyBert } from '../support/onnx_models.js'

/** Puts a backbone into the folder that cannot be used, or takes from it what it needs. */
type Spoil = (model: string, folder: string) => Promise<unknown>

const replacedBy =
  (make: () => OnnxModel): Spoil =>
  (model) =>
    writeFile(model, encodeModel(make()))

function changed(change: (graph: NonNullable<OnnxModel['graph']>) => void): OnnxModel {
  const model = tinyBert()
  change(model.graph!)
  return model
}

/** A model of which one tensor lies at a place of the disk. */
const withDataAt = (location: string): Spoil =>
  replacedBy(() =>
    changed((graph) => {
      const externalData = [{ key: 'location', value: location }]
      const probe: OnnxTensor = plainTensor(DataType.float, [4], { externalData, dataLocation: 1 })
      graph.initializer.push({ ...probe, name: 'probe' })
    }),
  )

const models: Readonly<Record<string, { spoil: Spoil; error: RegExp }>> = {
  'a file that is not there': { spoil: (model) => rm(model), error: /ERR_ONNX_MISSING: .*neither model\.onnx nor/ },
  'a folder that is not there': {
    spoil: (_, folder) => rm(folder, { recursive: true }),
    error: /ERR_ONNX_MISSING: .*no such folder or file/,
  },
  'a file that is not ONNX': {
    spoil: (model) => writeFile(model, '<!doctype html><title>Not found</title>'),
    error: /ERR_ONNX_FORMAT: .*is not an ONNX model/,
  },
  'a file that was cut': { spoil: (model) => truncate(model, 4000), error: /ERR_ONNX_FORMAT: .*or not a whole one/ },
  'a decoder': {
    spoil: replacedBy(() => {
      const triangle = Array.from({ length: 256 }, (_, i) => (i % 16 > Math.floor(i / 16) ? -1e9 : 0))
      return tinyBert({ bias: (b, padding) => b.add('Add', [padding, b.tensor(floats([1, 1, 16, 16], triangle))]) })
    }),
    error: /ERR_ONNX_CAUSAL: .*use a BERT-like encoder/,
  },
  'a CNN': {
    spoil: replacedBy(() => {
      const b = new ModelBuilder()
      const features = b.add('Relu', [b.add('Conv', ['image', b.random(4, 3, 3, 3)])])
      return b.model(['image'], [b.linear(b.add('Flatten', [b.add('GlobalAveragePool', [features])]), 4, 2)])
    }),
    error: /ERR_ONNX_UNSUPPORTED: .*is a convolution/,
  },
  'int8 weights': {
    spoil: replacedBy(() => changed(({ node }) => node.push(onnxNode('MatMulInteger', ['input_ids'], ['product'])))),
    error: /ERR_ONNX_QUANTIZED: .*"MatMulInteger_product".*without quantisation/,
  },
  'int8 weights behind DequantizeLinear': {
    spoil: replacedBy(() => changed(({ node }) => node.push(onnxNode('DequantizeLinear', ['input_ids'], ['weight'])))),
    error: /ERR_ONNX_QUANTIZED: .*"DequantizeLinear_weight"/,
  },
  'a NaN among the weights': {
    spoil: replacedBy(() =>
      changed((graph) => {
        const words = graph.initializer.find(({ dims }) => dims[0] === 20)!
        new Float32Array(words.rawData!.buffer)[17] = NaN
      }),
    ),
    error: /ERR_ONNX_NAN: .*embeddings\.word.*at element 17/,
  },
  'external data that is missing': {
    spoil: async (model) => {
      await writeModel(tinyBert(), model, { external: { threshold: 0 } })
      await rm(`${model}_data`)
    },
    error: /ERR_ONNX_EXTERNAL: .*"model\.onnx_data", but there is no such file/,
  },
  'external data that is too short': {
    spoil: async (model) => {
      await writeModel(tinyBert(), model, { external: { threshold: 0 } })
      await truncate(`${model}_data`, 5000)
    },
    error: /ERR_ONNX_EXTERNAL: .*the file ends at byte 5000.*may be incomplete/,
  },
  'external data outside the folder': {
    spoil: withDataAt('../train.tsv'),
    error: /ERR_ONNX_EXTERNAL: .*"\.\.\/train\.tsv", but this leads out of the folder/,
  },
  'a tokenizer that knows more words than the model': {
    spoil: (_, folder) => {
      const vocab = { ...tinyTokenizer.model.vocab, extra: 20 }
      const tokenizer = { ...tinyTokenizer, model: { ...tinyTokenizer.model, vocab } }
      return writeFiles(folder, { 'tokenizer.json': JSON.stringify(tokenizer) })
    },
    error: /ERR_TOKENIZER: .*ids up to 20.*20 rows/,
  },
  'no tokenizer': { spoil: (_, folder) => rm(join(folder, 'tokenizer.json')), error: /ERR_TOKENIZER: .*no tokenizer/ },
}

const options: Readonly<Record<string, { flags: readonly string[]; error: RegExp }>> = {
  'an unknown option': { flags: ['--learning-rat', '1'], error: /--learning-rat.*\n.*Did you mean --learning-rate/ },
  'an adapter of size 0': {
    flags: ['--adapter-size', '0'],
    error: /ERR_OPTION: --adapter-size must be .*at least 1.*not 0/,
  },
  'a learning rate of 0': {
    flags: ['--learning-rate', '0'],
    error: /ERR_OPTION: --learning-rate must be .*above 0.*not 0/,
  },
  'a negative learning rate': {
    flags: ['--learning-rate', '-1'],
    error: /ERR_OPTION: --learning-rate .*above 0.*not -1/,
  },
  'a learning rate of NaN': { flags: ['--learning-rate', 'NaN'], error: /--learning-rate.*'NaN' is invalid/ },
  'a learning rate in words': { flags: ['--learning-rate', 'fast'], error: /--learning-rate.*Expected a number/ },
  'rows longer than the model': {
    flags: ['--max-length', '17'],
    error: /ERR_OPTION: --max-length .*at most 16.*not 17/,
  },
  'a pooler of a file without one': { flags: ['--pool', 'pooler'], error: /ERR_OPTION: --pool is .*holds no pooler/ },
  'a place that has no dropout': { flags: ['--dropout', 'hiden=0.1'], error: /ERR_OPTION: .*did you mean "hidden"/ },
  'a place of dropout that is like none': {
    flags: ['--dropout', 'foo=1'],
    error: /ERR_OPTION: --dropout: unknown option "foo"; expected hidden, attention, head/,
  },
  'dropout in words': { flags: ['--dropout', 'much'], error: /--dropout.*a number, or hidden=/ },
  'a part that cannot be trained': { flags: ['--trainable', 'adapters,norm'], error: /ERR_OPTION: --trainable/ },
  'an adapter that would not be trained': {
    flags: ['--trainable', 'all', '--adapter-size', '4'],
    error: /ERR_OPTION: --trainable .*--adapter-size .*leave it out/,
  },
  'an adapter, and none': {
    flags: ['--no-adapter', '--adapter-size', '4', '--adapter-layers', '0'],
    error: /ERR_OPTION: --no-adapter and --adapter-size, --adapter-layers contradict each other/,
  },
  'a layer that the model lacks': {
    flags: ['--adapter-layers', '0,7'],
    error: /ERR_OPTION: --adapter-layers .*layer 7/,
  },
  'a device that is not known': { flags: ['--device', 'gpu'], error: /ERR_OPTION: .*device.*auto, cpu, cuda.*"gpu"/ },
}

const cases = [
  ...Object.entries(models).map(([what, { spoil, error }]) => ({ what, spoil, flags: [], error, code: 1 })),
  ...Object.entries(options).map(([what, { flags, error }]) => ({ what, spoil: undefined, flags, error, code: 2 })),
]

for (const { what, spoil, flags, error, code } of cases) {
  test.serial(what, async (t) => {
    const folder = await temporaryFolder(t)
    const backbone = join(folder, 'backbone')
    await mkdir(backbone)
    await writeModel(tinyBert(), join(backbone, 'model.onnx'))
    await writeFiles(backbone, { 'tokenizer.json': JSON.stringify(tinyTokenizer) })
    await writeFiles(folder, { 'train.tsv': asTsv(colourRows(12)) })
    await spoil?.(join(backbone, 'model.onnx'), backbone)

    const output = join(folder, 'run')
    const train = ['train', '--backbone', backbone, '--train', join(folder, 'train.tsv'), '--output', output, ...flags]
    const outcome = await cli(train)
    t.is(outcome.code, code, outcome.stderr)
    t.is(outcome.stdout, '')
    t.regex(outcome.stderr, error)
    t.regex(outcome.stderr, /^error: /)
    t.notRegex(outcome.stderr, /\n {4}at /, 'a stack trace')
    t.false(existsSync(output), 'nothing is left behind')
  })
}
