import { defineOp } from './define.js'
import { elements, match, touched } from './shapes.js'

/**
 * y = x∘mask/(1-p) (Srivastava et al. 2014), f32[R,C]. The mask is a function of seed, step, `rng`, row and column, so
 * its own VJP is the same op on dy and nothing is saved. May run in place.
 */
export const dropout = defineOp({
  name: 'dropout',
  code: 14,
  outputs: { y: { stored: 'narrow' } },
  inputs: { x: { stored: 'narrow' } },
  attributes: { dropout: 'f32', rng: 'u32' },
  shape(shapes) {
    const dim = match('dropout', shapes, { x: 'R C' })
    return { y: [dim('R'), dim('C')] }
  },
  vjp: ({ node, dy, emit }) => ({
    x: node.attributes.dropout === 0 ? dy : emit(dropout, { x: dy }, node.attributes).y!,
  }),
  cost: (inputs, outputs) => ({ flops: elements(inputs.x), bytes: touched(inputs, outputs) }),
})
