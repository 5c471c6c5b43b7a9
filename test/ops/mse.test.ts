import { testOp } from '../support/harness.js'
import { normal } from '../support/random.js'

testOp(
  'mse',
  [1, 2, 7, 16, 33, 129].map((count) => ({
    name: `${count} rows`,
    lengths: Array.from({ length: count }, (_, b) => 1 + (b % 2)),
    build: (g) =>
      g.node('mse', {
        prediction: g.sequenceRows('prediction', 1),
        labels: g.label('f32', ['B'], normal(`mse/${count}`, count, 2)),
      }),
    gradients: ['prediction'],
  })),
)
