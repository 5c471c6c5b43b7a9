/** Layers that share their weights (ALBERT), and embeddings of another width than the layers' (ELECTRA). */
import test from 'ava'
import { importEncoder } from '../../lib/onnx/import.js'
import { readModel } from '../../lib/onnx/read.js'
import { weightUses } from '../../lib/plan/plan.js'
import { compileModel } from '../../lib/train/compile.js'
import { resolveTrainerOptions, type TrainerOptions } from '../../lib/train/trainer_options.js'
import { tinyBert } from '../support/onnx_models.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

function compiled(encoder: Parameters<typeof compileModel>[0]) {
  const options = { task: { kind: 'classification', outputs: 2 }, adapter: { size: 8 } } as TrainerOptions
  return compileModel(encoder, resolveTrainerOptions(options))
}

test('shared weights are held once, adapters and LayerNorms for each layer', (t) => {
  const [shared, plain] = [tinyBert({ shared: true }), tinyBert()].map((model) => importEncoder(model))
  t.is(shared!.config.architecture, 'albert')
  t.true(shared!.config.parameters < plain!.config.parameters)
  const keys = (encoder: typeof shared) => weightUses(compiled(encoder!).entries).map(({ key }) => key)
  const [held, all] = [keys(shared), keys(plain)]
  t.is(new Set(held).size, held.length)
  t.deepEqual(
    held.filter((key) => key.startsWith('layer.1.')),
    [],
  )
  t.true(all.some((key) => key.startsWith('layer.1.')))
  const parameters = [...compiled(shared!).adapters!.initial.keys()].map(({ name }) => name)
  for (const layer of [0, 1]) t.true(parameters.some((name) => name.startsWith(`layer.${layer}.attention.adapter.`)))
})

test('weights that a file holds once for each layer are shared all the same', (t) => {
  const model = tinyBert({ shared: true })
  const { graph } = model
  const names = new Map<string, number>()
  // A copy of everything for each of its readers.
  for (const node of graph!.node) {
    node.input = node.input.map((name) => {
      const tensor = graph!.initializer.find((one) => one.name === name)
      const times = names.get(name) ?? 0
      names.set(name, times + 1)
      if (!tensor || times === 0) return name
      const copy = `${name}_${times}`
      graph!.initializer.push({ ...structuredClone(tensor), name: copy })
      return copy
    })
  }
  const found = importEncoder(model)
  t.is(found.config.architecture, 'albert')
  const keys = weightUses(compiled(found).entries).map(({ key }) => key)
  t.deepEqual(
    keys.filter((key) => key.startsWith('layer.1.ffn.up.weight')),
    [],
  )
})

testUnless(lacksShared(sharedPath('fixtures')), 'embedding projections are a linear layer of their own', async (t) => {
  for (const name of ['electra-legacy14-eager', 'albert-legacy14-eager']) {
    const { graph, config } = importEncoder(await readModel(sharedPath('fixtures', name, 'model.onnx')!))
    const projection = graph.nodes.find((node) => node.name === 'embeddings.projection')
    t.deepEqual(projection?.inputs.w?.shape, [64, 32], name)
    t.is(config.embedding, 32)
  }
})
