import { join } from 'node:path'
import test from 'ava'
import { exportRun, importAdapter } from '../../lib/index.js'
import { readSafeWeights } from '../../lib/formats/adapterhub/folder.js'
import { fromAdapterBert } from '../../lib/formats/adapter_bert.js'
import { madeTasks, makeRun } from '../support/exported.js'
import { temporaryFolder } from '../support/folder.js'
import { largestGap, runLogits, writeHfModel } from '../support/hf_model.js'

const from = 'adapter-bert'

test('a run goes out under the names of adapter-bert, and comes in again', async (t) => {
  const folder = await temporaryFolder(t)
  const { backbone } = await writeHfModel(join(folder, 'model'))
  const run = await makeRun(join(folder, 'run'), backbone, { pool: 'pooler' })
  const file = join(folder, 'x.safetensors')
  await exportRun(run, { to: from, output: file, backbone })
  const tensors = await readSafeWeights(file)
  t.is(tensors.size, 2 * 2 * 6 + 2 + 2)
  t.deepEqual(tensors.get('bert/encoder/layer_1/output/adapters/weights1')!.shape, [32, 8])
  t.deepEqual(tensors.get('bert/encoder/layer_1/attention/output/adapters/biases2')!.shape, [1, 32])
  t.deepEqual(tensors.get('bert/embeddings/LayerNorm/gamma')!.shape, [32])
  t.deepEqual(tensors.get('output_weights')!.shape, [3, 32])
  const output = join(folder, 'back')
  const options = { from, backbone, output, labels: madeTasks.classification['labels'] as string[], threads: 1 }
  const { warnings } = await importAdapter(file, options)
  t.deepEqual(warnings, [])
  t.is(largestGap(await runLogits(run, backbone), await runLogits(output, backbone)), 0)

  const size = { layers: 2, hidden: 32 }
  const refused = (change: (copy: Map<string, unknown>) => void, message: RegExp, of = size) => {
    const copy = new Map(tensors)
    change(copy)
    t.throws(() => fromAdapterBert(copy, of, 'x'), { code: 'ERR_INTEROP_FILE', message })
  }
  const name = 'bert/encoder/layer_0/output/adapters/weights2'
  refused((copy) => copy.delete(name), /is not there, expected one of \[8, 32\]/)
  refused((copy) => copy.set(name, { shape: [32, 8] }), /is \[32, 8\], expected \[8, 32\]/)
  refused((copy) => copy.delete('output_bias'), /"output_bias" is not there/)
  refused(() => {}, /of a layer that a backbone of 1 layers has not/, { ...size, layers: 1 })
})

test('what it cannot say is refused', async (t) => {
  const folder = await temporaryFolder(t)
  const { backbone } = await writeHfModel(join(folder, 'model'))
  let number = 0
  const refused = async (made: Parameters<typeof makeRun>[2], message: RegExp) => {
    const run = await makeRun(join(folder, `run${++number}`), backbone, { pool: 'pooler', ...made })
    const output = join(folder, 'x.safetensors')
    await t.throwsAsync(exportRun(run, { to: from, output, backbone }), { code: 'ERR_EXPORT_UNSUPPORTED', message })
  }
  await refused({ pool: 'cls' }, /does not read the pooler/)
  await refused({ adapter: { size: 4, activation: 'relu' } }, /another activation/)
  await refused({ adapter: { size: 4, layers: [1] } }, /have no adapters/)
  await refused({ task: madeTasks.token }, /no token head/)
  await refused({ trainable: ['head'] }, /no adapters/)
})
