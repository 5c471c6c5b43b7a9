import { defineOp } from './define.js'
import { elements, match, touched } from './shapes.js'

/**
 * Binary cross-entropy with logits, mean over all B·K elements; logits, labels f32[B,K], labels 0 or 1. Computed as
 * max(u,0) - u·y + log(1 + exp(-|u|)), which never overflows. A root of differentiation.
 */
export const bce = defineOp({
  name: 'bce',
  code: 23,
  outputs: { loss: {} },
  inputs: { logits: {}, labels: {} },
  attributes: {},
  shape(shapes) {
    match('bce', shapes, { logits: 'R K', labels: 'R K' })
    return { loss: [1] }
  },
  vjp({ node, emit }) {
    const { logits, labels } = node.inputs
    return { logits: emit(bceBackward, { logits, labels }).d_logits! }
  },
  cost: (inputs, outputs) => ({ flops: 6 * elements(inputs.logits), bytes: touched(inputs, outputs) }),
})

/** d_logits = (sigmoid(logits) - labels) / (B·K). */
export const bceBackward = defineOp({
  name: 'bce_backward',
  code: 24,
  outputs: { d_logits: {} },
  inputs: { logits: {}, labels: {} },
  attributes: {},
  shape(shapes) {
    const dim = match('bce_backward', shapes, { logits: 'R K', labels: 'R K' })
    return { d_logits: [dim('R'), dim('K')] }
  },
  cost: (inputs, outputs) => ({ flops: 5 * elements(inputs.logits), bytes: touched(inputs, outputs) }),
})
