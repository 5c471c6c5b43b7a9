/** What is differentiated, what is kept for it, and what is not. */
import test from 'ava'
import { differentiate } from '../../lib/autodiff/backward.js'
import { fuseEpilogues } from '../../lib/autodiff/fuse.js'
import { activation, inputs, type Graph, type Value } from '../../lib/ir/graph.js'
import { verify } from '../../lib/ir/verify.js'
import { makeNode } from '../../lib/ops/define.js'
import { add } from '../../lib/ops/add.js'
import { linear } from '../../lib/ops/linear.js'
import { mse } from '../../lib/ops/mse.js'
import { pool } from '../../lib/ops/pool.js'
import { compileModel } from '../../lib/train/compile.js'
import { resolveTrainerOptions, type TrainerOptions } from '../../lib/train/trainer_options.js'
import { tinyEncoder } from '../support/tiny_encoder.js'

function training(options: Partial<TrainerOptions> = {}): Graph {
  const all = { task: { kind: 'classification', outputs: 3 }, head: { pool: 'pooler' }, ...options } as TrainerOptions
  return compileModel(tinyEncoder(), resolveTrainerOptions(all)).training
}

const written = (graph: Graph) =>
  graph.nodes
    .flatMap((node) => Object.values(node.outputs))
    .filter((value) => value.storage === 'gradient')
    .map((value) => value.name)

test('every trained tensor gets its gradient once, written in place', (t) => {
  const names = written(training({ adapter: { size: 8 } }))
  t.is(new Set(names).size, names.length)
  // Adapters 2·2·4, LayerNorms 5·2, head 2.
  t.is(names.length, 16 + 10 + 2)
})

test('nothing below the lowest trained value is differentiated or kept', (t) => {
  const graph = training({ adapter: { size: 8, layers: [1] } })
  const touched = graph.nodes.filter((node) => /backward|linear_d/.test(node.op)).map((node) => node.name)
  t.false(touched.some((name) => name.startsWith('layer.0') || name.startsWith('embeddings')))
  const lower = graph.nodes.filter((node) => node.name.startsWith('layer.0'))
  t.true(lower.every((node) => Object.keys(node.outputs).length === 1))
  // The lowest adapter passes nothing on: neither its dense input nor its residual depends on anything trained.
  const lowest = graph.nodes.find(
    (node) => node.op === 'adapter_backward' && node.name.startsWith('layer.1.attention'),
  )!
  t.false('dx' in lowest.outputs || 'd_residual' in lowest.outputs)
})

test('the head alone needs no encoder backward at all', (t) => {
  const graph = training({ adapter: false, trainable: ['head'] })
  t.deepEqual(
    graph.nodes.filter((node) => /backward|linear_d/.test(node.op)).map((node) => node.op),
    ['cross_entropy_backward', 'linear_dw'],
  )
})

test('frozen layers take one product each, with its epilogue folded in', (t) => {
  const graph = training({ adapter: { size: 8 } })
  t.is(graph.nodes.filter((node) => node.op === 'mul').length, 0)
  t.is(graph.nodes.filter((node) => node.op === 'add').length, 0)
  const epilogues = graph.nodes
    .filter((node) => node.op === 'linear_dx')
    .map((node) => [node.name, node.attributes.epilogue])
  t.deepEqual(
    epilogues.filter(([name]) => String(name).startsWith('layer.1')),
    [
      ['layer.1.ffn.down.backward', 'mul'],
      ['layer.1.ffn.up.backward.2', 'add'],
      ['layer.1.attention.output.backward', 'none'],
      ['layer.1.attention.qkv.backward', 'add'],
    ],
  )
})

test('without dropout an adapterless sub-layer passes one gradient to both summands', (t) => {
  const node = training({ adapter: false, trainable: ['layerNorm', 'head'] }).nodes.find(
    (each) => each.op === 'residual_layer_norm_backward',
  )!
  t.true('d_residual' in node.outputs && !('dx' in node.outputs))
  const dropped = training({ adapter: false, trainable: ['layerNorm', 'head'], dropout: 0.1 }).nodes.find(
    (each) => each.op === 'residual_layer_norm_backward',
  )!
  t.true('d_residual' in dropped.outputs && 'dx' in dropped.outputs)
})

const parameter = (name: string, ...shape: number[]): Value => ({ name, dtype: 'f32', shape, storage: 'parameter' })

test('a parameter used twice gets the sum of both gradients', (t) => {
  const w = parameter('w', 8, 8)
  const v = parameter('v', 1, 8)
  const features = activation('features', ['T', 8])
  const labels: Value = { name: 'labels', dtype: 'f32', shape: ['B'], storage: 'input' }
  const source = makeNode(add, 'source', { a: features, b: features })
  const one = makeNode(linear, 'one', { x: source.outputs.y, w }, { activation: 'tanh' })
  const two = makeNode(linear, 'two', { x: one.outputs.y, w })
  const pooled = makeNode(pool, 'pool', { x: two.outputs.y, cu: inputs.cu }, { mode: 'mean' })
  const out = makeNode(linear, 'out', { x: pooled.outputs.y, w: v })
  const loss = makeNode(mse, 'loss', { prediction: out.outputs.y, labels })
  const graph: Graph = { nodes: [source, one, two, pooled, out, loss], outputs: { loss: loss.outputs.loss! } }
  const { graph: result, gradients } = differentiate(graph, loss.outputs.loss!, new Set([w, v]))
  t.deepEqual(written(result).sort(), ['v', 'w'])
  t.is(gradients.get(w)!.shape, w.shape)
  const adds = result.nodes.filter((node) => node.op === 'add' && node.name !== 'source')
  t.deepEqual(
    adds.map((node) => node.outputs.y!.storage),
    ['gradient'],
  )
  t.true(fuseEpilogues(result).nodes.some((node) => node.op === 'linear_dx' && node.attributes.epilogue === 'mul'))
})

test('a parameter that does not reach the loss is a mistake', (t) => {
  const graph = training({ adapter: { size: 8 } })
  const stray = parameter('stray', 4)
  const error = t.throws(() => differentiate({ nodes: [], outputs: {} }, graph.outputs.loss!, new Set([stray])), {
    code: 'ERR_GRAPH',
  })
  t.regex(error.message, /"stray" does not reach the loss/)
})

test('all trainings keep the laws of their stage', (t) => {
  for (const trainable of ['all', { topLayers: 1 }, ['layerNorm', 'head'], ['head'], ['adapters', 'head']] as const) {
    for (const dropout of [0, 0.1]) t.notThrows(() => verify(training({ trainable, dropout }), 'backward'))
  }
  for (const kind of ['regression', 'span', 'token', 'multilabel'] as const) {
    const outputs = { regression: 1, span: 2, token: 5, multilabel: 4 }[kind]
    t.notThrows(() => verify(training({ task: { kind, outputs }, head: { pool: 'mean' } }), 'backward'))
  }
})
