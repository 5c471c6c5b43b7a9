import { pointwiseShapes } from '../support/shapes.js'
import { testOp } from '../support/harness.js'

testOp(
  'add',
  pointwiseShapes.map(({ name, lengths, width }) => ({
    name,
    lengths,
    build: (g) => g.node('add', { a: g.tokenRows('a', width), b: g.tokenRows('b', width) }),
    gradients: ['a', 'b'],
  })),
)
