/** Laws of the stages, rewriting and the text dump. */
import test from 'ava'
import { PlanError } from '../../lib/errors.js'
import { activation, inputs, type Graph, type Value } from '../../lib/ir/graph.js'
import { print } from '../../lib/ir/print.js'
import { output, rewriteNodes, valuesOf } from '../../lib/ir/rewrite.js'
import { verify } from '../../lib/ir/verify.js'
import { add } from '../../lib/ops/add.js'
import { makeNode } from '../../lib/ops/define.js'
import { linear } from '../../lib/ops/linear.js'
import { tinyEncoder } from '../support/tiny_encoder.js'

const weight: Value = {
  name: 'w',
  dtype: 'f32',
  shape: [8, 8],
  storage: 'frozen',
  parts: [{ name: 'w', shape: [8, 8], data: new Float32Array(64), transposed: false }],
}

test('an imported encoder keeps the laws', (t) => {
  t.notThrows(() => verify(tinyEncoder().graph, 'imported'))
})

test('a value must be written before it is read', (t) => {
  const missing = makeNode(linear, 'n', { x: activation('x', ['T', 8]), w: weight })
  t.throws(() => verify({ nodes: [missing], outputs: {} }, 'imported'), {
    instanceOf: PlanError,
    code: 'ERR_GRAPH',
    message: /reads "x" before/,
  })
})

test('parameters may not appear before adapters do, nor gradients before autodiff', (t) => {
  const encoder = tinyEncoder().graph
  const hidden = encoder.outputs.hidden!
  const parameter: Value = { name: 'p', dtype: 'f32', shape: [8, 64], storage: 'parameter' }
  const node = makeNode(linear, 'head', { x: hidden, w: parameter })
  const graph: Graph = { nodes: [...encoder.nodes, node], outputs: node.outputs }
  t.throws(() => verify(graph, 'imported'), { message: /reads parameter "p"/ })
  t.notThrows(() => verify(graph, 'model'))
  const writes: Graph = {
    nodes: [...encoder.nodes, { ...node, outputs: { y: { ...parameter, storage: 'gradient' } } }],
    outputs: {},
  }
  t.throws(() => verify(writes, 'model'), { message: /writes gradient "p"/ })
  t.notThrows(() => verify(writes, 'backward'))
})

test('names are unique and outputs exist', (t) => {
  const encoder = tinyEncoder().graph
  const hidden = encoder.outputs.hidden!
  const twice = [makeNode(add, 'sum', { a: hidden, b: hidden }), makeNode(add, 'sum', { a: hidden, b: hidden })]
  t.throws(() => verify({ nodes: [...encoder.nodes, ...twice], outputs: {} }, 'model'), {
    message: /two values are called/,
  })
  t.throws(() => verify({ nodes: encoder.nodes, outputs: { logits: activation('l', ['B', 2]) } }, 'model'), {
    message: /never written/,
  })
})

test('rewriting redirects later readers and the outputs', (t) => {
  const encoder = tinyEncoder().graph
  const graph = rewriteNodes(encoder, (node, replace) => {
    if (node.name !== 'embeddings.layer_norm') return [node]
    const doubled = makeNode(add, 'double', { a: output(node), b: output(node) })
    replace(output(node), output(doubled))
    return [node, doubled]
  })
  verify(graph, 'imported')
  const readers = graph.nodes.filter((node) =>
    Object.values(node.inputs).some((value) => value.name === 'embeddings.layer_norm.y'),
  )
  t.deepEqual(
    readers.map((node) => node.name),
    ['double'],
  )
  t.is(valuesOf(graph, 'frozen').length, valuesOf(encoder, 'frozen').length)
})

test('a graph prints as one line per node', (t) => {
  const x = makeNode(linear, 'first', { x: makeInput(), w: weight }, { activation: 'gelu' })
  const graph: Graph = { nodes: [x], outputs: { hidden: x.outputs.y! } }
  t.is(print(graph), '%0 = linear(x: ?x [T,8], w: w [8,8] frozen) activation=gelu  # first\nhidden: %0 [T,8]')
  t.regex(
    print(tinyEncoder().graph),
    /%0 = embedding\(ids: ids \[T\], types: types \[T\], cu: cu \[B\+1\], word: embeddings\.word\.weight \[1000,64\] frozen/,
  )
  t.is(inputs.ids.storage, 'input')
})

function makeInput(): Value {
  return activation('x', ['T', 8])
}
