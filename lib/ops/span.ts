import { defineOp } from './define.js'
import { elements, match, touched } from './shapes.js'

/**
 * Extractive question answering (Devlin et al. 2019 §4.2): softmax of each column of logits f32[T,2] over the tokens of
 * each sequence, loss[1] = mean over sequences of (CE(start) + CE(end))/2; labels i32[B,2] are token positions within
 * the row. Unlike the reference code no padding takes part in the softmax, for there is none. A root.
 */
export const span = defineOp({
  name: 'span',
  code: 25,
  outputs: { loss: {} },
  inputs: { logits: {}, labels: { dtype: 'i32' }, cu: { dtype: 'i32' } },
  attributes: {},
  shape(shapes) {
    match('span', shapes, { logits: 'T 2', labels: 'B 2', cu: 'B+1' })
    return { loss: [1] }
  },
  vjp({ node, emit }) {
    const { logits, labels, cu } = node.inputs
    return { logits: emit(spanBackward, { logits, labels, cu }).d_logits! }
  },
  cost: (inputs, outputs) => ({ flops: 5 * elements(inputs.logits), bytes: touched(inputs, outputs) }),
})

/** d_logits = (softmax over the sequence - onehot(position)) / (2·B). */
export const spanBackward = defineOp({
  name: 'span_backward',
  code: 26,
  outputs: { d_logits: {} },
  inputs: { logits: {}, labels: { dtype: 'i32' }, cu: { dtype: 'i32' } },
  attributes: {},
  shape(shapes) {
    match('span_backward', shapes, { logits: 'T 2', labels: 'B 2', cu: 'B+1' })
    return { d_logits: ['T', 2] }
  },
  cost: (inputs, outputs) => ({ flops: 6 * elements(inputs.logits), bytes: touched(inputs, outputs) }),
})
