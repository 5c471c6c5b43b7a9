/** What is said of files that do not lift: which layer, which part of it, which node, and the graph around it. */
import test from 'ava'
import { explainImport } from '../../lib/onnx/explain.js'
import type { OnnxModel } from '../../lib/onnx/schema.js'
import { type ModelBuilder, onnxNode, tinyBert } from '../support/onnx_models.js'

/** Something else in the second layer only. */
function inSecond(odd: (b: ModelBuilder, x: string) => string, usual: (b: ModelBuilder, x: string) => string) {
  let layer = 0
  return (b: ModelBuilder, x: string) => (layer++ === 0 ? usual(b, x) : odd(b, x))
}

const softmax = (b: ModelBuilder, x: string) => b.add('Softmax', [x], { axis: -1 })

test('a file that lifts needs no explanation', (t) => {
  t.is(explainImport(tinyBert()), undefined)
})

test('an activation in the second layer', (t) => {
  const activation = inSecond(
    (b, x) => b.add('Sin', [x]),
    (b, x) => b.add('Relu', [x]),
  )
  const said = explainImport(tinyBert({ activation }))!
  t.like(said, { code: 'ERR_ONNX_UNSUPPORTED', layers: 1, operator: 'Sin', opset: 17, producer: 'unknown' })
  t.regex(said.pattern, /^layer 1, .*feed-forward: its activation/)
  t.regex(said.expected, /GELU, ReLU, SiLU or tanh/)
  // Twelve columns: the feed-forward's width.
  t.regex(said.found!, /^"v\d+" \[B, S, 12\] = Sin\("v\d+" \[B, S, 12\]\)$/)
  const at = said.graph.findIndex((line) => line.startsWith('> '))
  t.is(said.graph[at], `> ${said.found}`)
  // The product and the bias before it; what reads it behind it.
  t.regex(said.graph[at - 2]!, /MatMul\(.*constant "t\d+" \[8, 12\]\)/)
  t.regex(said.graph[at - 1]!, /Add\(/)
  t.regex(said.graph[at + 1]!, /MatMul\(/)
  t.is(said.operators['Sin'], 1)
})

test('a bias of the scores', (t) => {
  const said = explainImport(tinyBert({ bias: (b, padding) => b.add('Add', [padding, b.random(1, 2, 1, 1)]) }))!
  t.like(said, { layers: 0, pattern: 'layer 0, self-attention: scale and mask of the scores' })
  t.true(said.reached.includes('self-attention: keys'))
  t.false(said.reached.includes('self-attention: heads put together'))
  t.regex(said.expected, /padding mask/)
  t.true(
    said.graph.some((line) => /constant "t\d+" \[1, 2, 1, 1\]/.test(line) || line.includes('= Cast(')),
    said.graph.join('\n'),
  )
})

test('a softmax over another axis, in the second layer', (t) => {
  const odd = inSecond((b, x) => b.add('Softmax', [x], { axis: 2 }), softmax)
  const said = explainImport(tinyBert({ softmax: odd }))!
  t.like(said, { layers: 1, operator: 'Softmax' })
  t.regex(said.pattern, /^layer 1, self-attention/)
  t.regex(said.found!, /\[B, 2, S, S\] = Softmax\(.*axis=2\)/)
})

test('a decoder', (t) => {
  const bias = (b: ModelBuilder, padding: string) => {
    const kept = b.add('Trilu', [b.add('Expand', [b.scalar(-1e9), b.list(8, 8)])], { upper: 1 })
    return b.add('Add', [padding, kept])
  }
  t.like(explainImport(tinyBert({ bias })), { code: 'ERR_ONNX_CAUSAL', operator: 'Add' })
})

test('embeddings without positions', (t) => {
  const said = explainImport(tinyBert({ places: (b) => b.add('Neg', ['token_type_ids']) }))!
  t.like(said, { layers: 0, pattern: 'embeddings: sum of looked-up rows', operator: 'Neg', reached: [] })
  t.regex(said.expected, /positions/)
})

function changed(change: (model: OnnxModel) => void): OnnxModel {
  const model = tinyBert()
  change(model)
  return model
}

test('kinds of models that are told by one node', (t) => {
  const quantised = changed((model) =>
    model.graph!.node.push({ ...onnxNode('MatMulInteger', ['input_ids', 'input_ids'], ['product']), name: 'int8' }),
  )
  const said = explainImport(quantised)!
  t.like(said, { code: 'ERR_ONNX_QUANTIZED', node: 'int8', operator: 'MatMulInteger', pattern: 'none' })
  t.regex(said.found!, /= MatMulInteger\("input_ids" \[B, S\], "input_ids" \[B, S\]\)/)
})

test('a graph that cannot run still has a message', (t) => {
  const cyclic = changed(({ graph }) =>
    graph!.node.push(onnxNode('Add', ['b', 'b'], ['a']), onnxNode('Neg', ['a'], ['b'])),
  )
  t.like(explainImport(cyclic), { code: 'ERR_ONNX_FORMAT', graph: [], found: null })
})

test('long graphs are cut to a few nodes', (t) => {
  const activation = (b: ModelBuilder, x: string) => {
    let y = x
    for (let i = 0; i < 100; i++) y = b.add('Sin', [b.add('Add', [y, x])])
    return y
  }
  t.true(explainImport(tinyBert({ activation }))!.graph.length <= 25)
})
