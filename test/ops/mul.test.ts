import { pointwiseShapes } from '../support/shapes.js'
import { testOp } from '../support/harness.js'

testOp(
  'mul',
  pointwiseShapes.map(({ name, lengths, width }) => ({
    name,
    lengths,
    build: (g) => g.node('mul', { a: g.tokenRows('a', width), b: g.tokenRows('b', width) }),
  })),
)
