/** Pooling, head and loss of every task. */
import test from 'ava'
import { OptionError } from '../../lib/errors.js'
import { attachHead, type Pool } from '../../lib/heads/define.js'
import type { TaskKind } from '../../lib/kinds.js'
import { heads } from '../../lib/heads/index.js'
import { verify } from '../../lib/ir/verify.js'
import { tinyEncoder } from '../support/tiny_encoder.js'

function attach(kind: TaskKind, outputs: number, pool?: Pool) {
  const source = tinyEncoder()
  return attachHead(source.graph, heads[kind], { outputs, pooler: source.pooler, ...(pool && { pool }) })
}

const opsAfterEncoder = (kind: TaskKind, outputs: number, pool?: Pool) => {
  const head = attach(kind, outputs, pool)
  const graph = verify(head.withLoss(head.graph), 'model')
  return graph.nodes
    .slice(tinyEncoder().graph.nodes.length)
    .map((node) => node.op + (node.attributes.mode ? ` ${node.attributes.mode}` : ''))
}

test('sequence tasks pool, token tasks do not', (t) => {
  t.deepEqual(opsAfterEncoder('classification', 3), ['pool cls', 'linear', 'cross_entropy'])
  t.deepEqual(opsAfterEncoder('classification', 3, 'mean'), ['pool mean', 'linear', 'cross_entropy'])
  t.deepEqual(opsAfterEncoder('regression', 1, 'pooler'), ['pool cls', 'linear', 'linear', 'mse'])
  t.deepEqual(opsAfterEncoder('multilabel', 4), ['pool cls', 'linear', 'bce'])
  t.deepEqual(opsAfterEncoder('span', 2), ['linear', 'span'])
  t.deepEqual(opsAfterEncoder('token', 5), ['linear', 'cross_entropy'])
})

test('logits and labels have the shapes of their task', (t) => {
  const shapes = (kind: TaskKind, outputs: number) => {
    const { graph, labels } = attach(kind, outputs)
    return [graph.outputs.logits!.shape, labels.dtype, labels.shape]
  }
  t.deepEqual(shapes('classification', 3), [['B', 3], 'i32', ['B']])
  t.deepEqual(shapes('regression', 1), [['B', 1], 'f32', ['B']])
  t.deepEqual(shapes('multilabel', 4), [['B', 4], 'f32', ['B', 4]])
  t.deepEqual(shapes('span', 2), [['T', 2], 'i32', ['B', 2]])
  t.deepEqual(shapes('token', 5), [['T', 5], 'i32', ['T']])
})

test("the pooler is the file's own, tanh over the first token", (t) => {
  const { graph } = attach('classification', 2, 'pooler')
  const pooler = graph.nodes.find((node) => node.name === 'pooler')!
  t.is(pooler.attributes.activation, 'tanh')
  t.is(pooler.inputs.w!.name, 'pooler.weight')
})

test('a file without a pooler says so', (t) => {
  const { graph } = tinyEncoder()
  const error = t.throws(() => attachHead(graph, heads.classification, { outputs: 2, pool: 'pooler' }), {
    instanceOf: OptionError,
    code: 'ERR_OPTION',
  })
  t.regex(error.message, /holds no pooler: use "cls" or "mean"/)
})
