import type { CaseBuilder } from '../support/cases.js'
import { testOp } from '../support/harness.js'
import { normal } from '../support/random.js'

/** Around the chunk of the partial sums and the vectors; the buffer's own length is rounded up with zeros. */
const sizes = [1, 7, 15, 16, 17, 60, 1023, 1024, 4096, 4099, 70_001]

testOp('grad_norm', [
  ...sizes.map((size) => ({
    name: `${size} numbers`,
    lengths: [1],
    build: (g: CaseBuilder) => g.node('grad_norm', { gradients: g.flatGradients(normal(`norm/${size}`, size)) }),
  })),
  {
    name: 'whole numbers: a norm of 5',
    lengths: [1],
    build: (g) => g.node('grad_norm', { gradients: g.flatGradients(Float32Array.of(3, 0, 0, -4)) }),
    exact: true,
  },
  {
    name: 'squares beyond f32',
    lengths: [1],
    build: (g) => g.node('grad_norm', { gradients: g.flatGradients(Float32Array.of(3e25, 4e25)) }),
  },
])
