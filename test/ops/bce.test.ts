import { testOp } from '../support/harness.js'
import type { OpCase } from '../support/cases.js'
import { integers, normal } from '../support/random.js'

function bceCase(name: string, rows: number, outputs: number, logits?: Float32Array): OpCase {
  return {
    name,
    lengths: new Array<number>(rows).fill(1),
    build: (g) => {
      const labels = Float32Array.from(integers(name, rows * outputs, 0, 1))
      return g.node('bce', {
        logits: g.sequenceRows('logits', outputs, logits),
        labels: g.label('f32', ['B', outputs], labels),
      })
    },
    gradients: ['logits'],
    absoluteFloor: 1e-7,
  }
}

testOp('bce', [
  ...[
    [1, 1],
    [1, 5],
    [4, 4],
    [7, 3],
    [33, 17],
    [64, 8],
  ].map(([rows, outputs]) => bceCase(`${rows} rows, ${outputs} outputs`, rows!, outputs!)),
  bceCase('logits of hundreds do not overflow', 6, 3, normal('bce large', 18, 150)),
])
