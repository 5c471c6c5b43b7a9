import { defineOp } from './define.js'
import { elements, match, touched } from './shapes.js'

/** norm[1] = sqrt(Σ g²) over the whole flat gradient buffer f32[N], partial sums in f64 added in a fixed order. */
export const gradNorm = defineOp({
  name: 'grad_norm',
  code: 27,
  outputs: { norm: {} },
  inputs: { gradients: {} },
  attributes: {},
  shape(shapes) {
    match('grad_norm', shapes, { gradients: 'N' })
    return { norm: [1] }
  },
  cost: (inputs, outputs) => ({ flops: 2 * elements(inputs.gradients), bytes: touched(inputs, outputs) }),
})
