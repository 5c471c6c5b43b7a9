import { defineOp } from './define.js'
import { elements, match, touched } from './shapes.js'

/**
 * One optimizer step over the flat buffers f32[N], which it updates where they lie (Kingma & Ba 2015 Alg. 1, decay
 * decoupled as in Loshchilov & Hutter 2019 Alg. 2; `bias_correction` 0 is google-research/bert's Adam).
 * Gradients are scaled by min(1, clip_norm/(norm + 1e-6)) first when clip_norm > 0; only the first `decayed` floats
 * decay. A norm that is not finite skips the step. Learning rate and step come with each run.
 */
export const adamw = defineOp({
  name: 'adamw',
  code: 28,
  outputs: { parameters: {}, moment1: {}, moment2: {} },
  inputs: { gradients: {}, norm: {} },
  attributes: {
    beta1: 'f32',
    beta2: 'f32',
    epsilon: 'f32',
    weight_decay: 'f32',
    clip_norm: 'f32',
    bias_correction: 'i32',
    decayed: 'i32',
  },
  shape(shapes) {
    const dim = match('adamw', shapes, { gradients: 'N', norm: '1' })
    return { parameters: [dim('N')], moment1: [dim('N')], moment2: [dim('N')] }
  },
  cost: (inputs, outputs) => ({
    flops: 14 * elements(inputs.gradients),
    bytes: touched(inputs, outputs) + touched(outputs),
  }),
})
