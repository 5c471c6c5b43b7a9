import { inputs } from '../../lib/ir/graph.js'
import { testOp } from '../support/harness.js'
import { integers } from '../support/random.js'
import { batchName } from '../support/shapes.js'

testOp(
  'span',
  [[1], [7], [4, 4], [1, 67, 2, 1], [13, 1, 8, 16, 17], [130, 5]].map((lengths) => ({
    name: batchName(lengths),
    lengths,
    build: (g) => {
      const labels = lengths.flatMap((length, b) => [...integers(`span/${b}/${length}`, 2, 0, length - 1)])
      return g.node('span', {
        logits: g.tokenRows('logits', 2),
        labels: g.label('i32', ['B', 2], Int32Array.from(labels)),
        cu: inputs.cu,
      })
    },
    gradients: ['logits'],
  })),
)
