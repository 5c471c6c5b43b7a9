import { testOp } from '../support/harness.js'
import type { OpCase } from '../support/cases.js'
import { integers, normal } from '../support/random.js'

const ignored = -100

function sequences(count: number, classes: number): OpCase {
  const name = `${count} sequences, ${classes} classes`
  return {
    name,
    lengths: Array.from({ length: count }, (_, b) => 1 + (b % 3)),
    build: (g) =>
      g.node('cross_entropy', {
        logits: g.sequenceRows('logits', classes),
        labels: g.label('i32', ['B'], integers(name, count, 0, classes - 1)),
      }),
    gradients: ['logits'],
  }
}

function tokens(name: string, classes: number, labels: readonly number[], logits?: Float32Array): OpCase {
  return {
    name,
    lengths: [labels.length],
    build: (g) =>
      g.node('cross_entropy', {
        logits: g.tokenRows('logits', classes, logits),
        labels: g.label('i32', ['T'], Int32Array.from(labels)),
      }),
    gradients: ['logits'],
  }
}

testOp('cross_entropy', [
  sequences(1, 2),
  sequences(3, 1),
  sequences(7, 3),
  sequences(33, 17),
  sequences(64, 5),
  tokens('tokens with labels that do not count', 5, [ignored, 4, 0, ignored, 2, 1, ignored]),
  tokens('one token counts', 9, [ignored, ignored, 8]),
  tokens('no token counts', 4, [ignored, ignored, ignored]),
  tokens(
    'more rows than a chunk',
    3,
    Array.from({ length: 300 }, (_, i) => (i % 7 === 0 ? ignored : i % 3)),
  ),
  tokens('logits of hundreds', 6, [0, 3, 5, 1], normal('large logits', 24, 200)),
])
