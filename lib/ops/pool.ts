import { defineOp } from './define.js'
import { elements, match, touched } from './shapes.js'

/** Values of the `mode` attribute. */
export const poolModes = ['cls', 'mean'] as const

/** One row per sequence, y f32[B,C] from x f32[T,C]: its first token, or the mean of its tokens. No tokens: zeros. */
export const pool = defineOp({
  name: 'pool',
  code: 17,
  outputs: { y: { stored: 'narrow' } },
  inputs: { x: { stored: 'narrow' }, cu: { dtype: 'i32' } },
  attributes: { mode: poolModes },
  shape(shapes) {
    const dim = match('pool', shapes, { x: 'T C', cu: 'B+1' })
    return { y: ['B', dim('C')] }
  },
  vjp: ({ node, dy, emit }) => ({ x: emit(poolBackward, { dy, cu: node.inputs.cu }, node.attributes).dx! }),
  cost: (inputs, outputs) => ({ flops: elements(inputs.x), bytes: touched(inputs, outputs) }),
})

/** dx f32[T,C]: dy's row at the first token and zeros elsewhere, or dy/length at every token. */
export const poolBackward = defineOp({
  name: 'pool_backward',
  code: 18,
  outputs: { dx: { stored: 'narrow' } },
  inputs: { dy: { stored: 'narrow' }, cu: { dtype: 'i32' } },
  attributes: { mode: poolModes },
  shape(shapes) {
    const dim = match('pool_backward', shapes, { dy: 'B C', cu: 'B+1' })
    return { dx: ['T', dim('C')] }
  },
  cost: (inputs, outputs) => ({ flops: elements(outputs.dx), bytes: touched(inputs, outputs) }),
})
