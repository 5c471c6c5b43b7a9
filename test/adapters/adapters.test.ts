/** Insertion, selection of what is trained, counts, dropout places and random starts. */
import test from 'ava'
import { applyDropout } from '../../lib/adapters/apply_dropout.js'
import { fuseResiduals } from '../../lib/adapters/fuse_residuals.js'
import { insertAdapters } from '../../lib/adapters/houlsby.js'
import { initialData, truncatedNormal } from '../../lib/adapters/init.js'
import { philox } from '../../lib/adapters/philox.js'
import { selectTrainable, type Trainable } from '../../lib/adapters/trainable.js'
import type { AdapterOptions } from '../../lib/adapters/houlsby.js'
import { attachHead } from '../../lib/heads/define.js'
import { heads } from '../../lib/heads/index.js'
import type { Value } from '../../lib/ir/graph.js'
import { print } from '../../lib/ir/print.js'
import { verify } from '../../lib/ir/verify.js'
import { layOutParameters } from '../../lib/plan/layout.js'
import { miniLmShape, tinyEncoder, tinyShape } from '../support/tiny_encoder.js'

function build(options: { adapter?: AdapterOptions | false; trainable?: Trainable; shape?: typeof tinyShape } = {}) {
  const { adapter = {}, trainable = ['adapters', 'layerNorm', 'head'], shape = tinyShape } = options
  const source = tinyEncoder(shape)
  const fused = fuseResiduals(source.graph)
  const adapted = adapter ? insertAdapters(fused, adapter).graph : fused
  const head = attachHead(adapted, heads.classification, { outputs: 3, pool: 'pooler', pooler: source.pooler })
  const { graph, trained } = selectTrainable(head.graph, trainable, adapter ? adapter.layers : 'all')
  verify(graph, 'model')
  const layout = layOutParameters([...trained], () => true)
  return { graph, trained, names: layout.trained.map((view) => view.name), layout }
}

const sizeOf = (values: Iterable<Value>) =>
  [...values].reduce((sum, { shape }) => sum + shape.reduce<number>((n, d) => n * Number(d), 1), 0)

test('add and LayerNorm become one node; x is the dense output', (t) => {
  const graph = verify(fuseResiduals(tinyEncoder().graph), 'imported')
  t.is(graph.nodes.filter((node) => node.op === 'add').length, 0)
  const fused = graph.nodes.filter((node) => node.op === 'residual_layer_norm')
  t.deepEqual(
    fused.map((node) => [node.name, node.inputs.x!.name]),
    [
      ['layer.0.attention.layer_norm', 'layer.0.attention.output.y'],
      ['layer.0.ffn.layer_norm', 'layer.0.ffn.down.y'],
      ['layer.1.attention.layer_norm', 'layer.1.attention.output.y'],
      ['layer.1.ffn.layer_norm', 'layer.1.ffn.down.y'],
    ],
  )
})

test('an adapter node stands where residual and LayerNorm stood', (t) => {
  const text = print(build({ adapter: { size: 8 } }).graph)
  t.regex(
    text,
    /adapter\(x: %\d+ \[T,64\], residual: %\d+ \[T,64\], down_w: parameter layer\.0\.attention\.adapter\.down\.weight \[8,64\]/,
  )
  t.false(text.includes('residual_layer_norm'))
})

test('MiniLM with size 64: 595,200 in adapters, 9,984 in LayerNorms, and the head', (t) => {
  const { trained } = build({ shape: miniLmShape, adapter: { size: 64 } })
  const count = (pattern: RegExp) => sizeOf([...trained].filter((value) => pattern.test(value.name)))
  t.is(count(/adapter/), 595_200)
  t.is(count(/layer_norm/), 9_984)
  t.is(count(/^head/), 3 * 384 + 3)
  t.is(sizeOf(trained), 595_200 + 9_984 + 3 * 384 + 3)
})

test('LayerNorms below the lowest chosen adapter stay frozen', (t) => {
  const { names } = build({ adapter: { size: 8, layers: [1] } })
  t.is(names.length, 14)
  t.false(names.some((name) => name.startsWith('layer.0') || name.startsWith('embeddings')))
})

test('what "all", the top layers and LayerNorm alone train', (t) => {
  t.is(build({ adapter: false, trainable: 'all' }).names.length, 41)
  const oneType = build({ adapter: false, trainable: 'all', shape: { ...tinyShape, tokenTypes: 1 } })
  t.is(oneType.names.length, 40)
  t.false(oneType.names.includes('embeddings.token_type.weight'))
  const top = build({ adapter: false, trainable: { topLayers: 1 } })
  t.is(top.names.length, 20)
  t.true(top.names.includes('pooler.weight') && top.names.includes('layer.1.attention.query.weight'))
  t.is(build({ adapter: false, trainable: ['layerNorm', 'head'] }).names.length, 12)
  t.throws(() => build({ adapter: false, trainable: { topLayers: 3 } }), { code: 'ERR_OPTION', message: /from 1 to 2/ })
})

test('a layer the model does not have is refused', (t) => {
  t.throws(() => build({ adapter: { layers: [0, 7] } }), {
    code: 'ERR_OPTION',
    message: /names layer 7; the model has layers 0 to 1/,
  })
})

test('decayed matrices come first, every tensor on a line of 16 floats', (t) => {
  const { layout, trained } = build({ adapter: false, trainable: 'all' })
  const matrices = [...trained].filter((value) => value.shape.length > 1)
  for (const value of trained) {
    const offset = layout.offsets.get(value.name)!
    t.is(offset % 16, 0)
    t.is(offset < layout.decayed, matrices.includes(value), value.name)
  }
  t.is(layout.decayed % 16, 0)
  const query = layout.trained.find((view) => view.name === 'layer.0.attention.query.weight')!
  const key = layout.trained.find((view) => view.name === 'layer.0.attention.key.weight')!
  t.is(key.offset, query.offset + 64 * 64)
})

test('dropout goes where BERT has it, under ids that adapters do not move', (t) => {
  const rates = { hidden: 0.1, attention: 0.2, head: 0.3 }
  const ids = (graph: ReturnType<typeof build>['graph']) =>
    applyDropout(graph, rates)
      .nodes.filter((node) => Number(node.attributes.dropout) > 0)
      .map((node) => [node.op === 'attention', node.attributes.dropout, node.attributes.rng])
  const plain = ids(build({ adapter: false, trainable: ['head'] }).graph)
  t.deepEqual(plain, ids(build().graph))
  t.is(plain.length, 1 + 2 * 3 + 1)
  t.is(new Set(plain.map(([, , id]) => id)).size, plain.length)
  t.true(plain.every(([, , id]) => Number(id) >= 1))
  t.is(applyDropout(build().graph, { hidden: 0, attention: 0, head: 0 }).nodes.length, build().graph.nodes.length)
  verify(applyDropout(build().graph, rates), 'model')
})

test('philox gives the published numbers', (t) => {
  // Known-answer vectors of Random123, kat_vectors, philox 4x32 10.
  t.deepEqual(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])
  const ones = 0xffff_ffff
  t.deepEqual(philox([ones, ones, ones, ones], [ones, ones]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd])
  t.deepEqual(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  )
})

test('starts are truncated normal, the same for a seed and name, different otherwise', (t) => {
  const normal = { kind: 'truncatedNormal', std: 1e-2 } as const
  const data = initialData('layer.0.attention.adapter.down.weight', 40_000, normal, 7)
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length
  const std = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length)
  t.true(Math.abs(mean) < 2e-4)
  // The cut leaves 0.8796 of the deviation.
  t.true(Math.abs(std - 0.8796e-2) < 1e-4)
  t.true(data.every((x) => Math.abs(x) <= 2e-2 + 1e-9))
  t.deepEqual(initialData('layer.0.attention.adapter.down.weight', 100, normal, 7), data.slice(0, 100))
  t.notDeepEqual(initialData('layer.0.attention.adapter.up.weight', 100, normal, 7), data.slice(0, 100))
  t.notDeepEqual(initialData('layer.0.attention.adapter.down.weight', 100, normal, 8), data.slice(0, 100))
  t.true(initialData('b', 10, { kind: 'zero' }, 7).every((x) => x === 0))
  t.true(Math.abs(truncatedNormal(0.5)) < 1e-8 && truncatedNormal(0) >= -2 && truncatedNormal(1) <= 2)
})
