import { defineOp } from './define.js'
import { elements, match, touched } from './shapes.js'

/**
 * loss[1] = mean over counted rows of -log softmax(logits)[label]; logits f32[R,K], labels i32[R]. Rows labelled -100
 * do not count; with none counted the loss is 0, the gradient too. A root: its VJP takes the loss's own gradient as 1.
 */
export const crossEntropy = defineOp({
  name: 'cross_entropy',
  code: 19,
  outputs: { loss: {} },
  inputs: { logits: {}, labels: { dtype: 'i32' } },
  attributes: {},
  shape(shapes) {
    match('cross_entropy', shapes, { logits: 'R K', labels: 'R' })
    return { loss: [1] }
  },
  vjp({ node, emit }) {
    const { logits, labels } = node.inputs
    return { logits: emit(crossEntropyBackward, { logits, labels }).d_logits! }
  },
  cost: (inputs, outputs) => ({ flops: 5 * elements(inputs.logits), bytes: touched(inputs, outputs) }),
})

/** d_logits = (softmax(logits) - onehot(label)) / counted rows. */
export const crossEntropyBackward = defineOp({
  name: 'cross_entropy_backward',
  code: 20,
  outputs: { d_logits: {} },
  inputs: { logits: {}, labels: { dtype: 'i32' } },
  attributes: {},
  shape(shapes) {
    const dim = match('cross_entropy_backward', shapes, { logits: 'R K', labels: 'R' })
    return { d_logits: [dim('R'), dim('K')] }
  },
  cost: (inputs, outputs) => ({ flops: 6 * elements(inputs.logits), bytes: touched(inputs, outputs) }),
})
