import { defineOp } from './define.js'
import { elements, match, touched } from './shapes.js'

/** loss[1] = mean over rows of (prediction - label)²; prediction f32[B,1], labels f32[B]. A root of differentiation. */
export const mse = defineOp({
  name: 'mse',
  code: 21,
  outputs: { loss: {} },
  inputs: { prediction: {}, labels: {} },
  attributes: {},
  shape(shapes) {
    match('mse', shapes, { prediction: 'R 1', labels: 'R' })
    return { loss: [1] }
  },
  vjp({ node, emit }) {
    const { prediction, labels } = node.inputs
    return { prediction: emit(mseBackward, { prediction, labels }).d_prediction! }
  },
  cost: (inputs, outputs) => ({ flops: 3 * elements(inputs.prediction), bytes: touched(inputs, outputs) }),
})

/** d_prediction = 2·(prediction - label) / rows. */
export const mseBackward = defineOp({
  name: 'mse_backward',
  code: 22,
  outputs: { d_prediction: {} },
  inputs: { prediction: {}, labels: {} },
  attributes: {},
  shape(shapes) {
    const dim = match('mse_backward', shapes, { prediction: 'R 1', labels: 'R' })
    return { d_prediction: [dim('R'), 1] }
  },
  cost: (inputs, outputs) => ({ flops: 3 * elements(inputs.prediction), bytes: touched(inputs, outputs) }),
})
