import { defineOp } from './define.js'
import { elements, touched } from './shapes.js'

/** y = x in another type: f32 or bf16 of any shape, rounded to nearest where that is narrower. Only planning makes it. */
export const cast = defineOp({
  name: 'cast',
  code: 29,
  outputs: { y: { stored: 'any' } },
  inputs: { x: { stored: 'any' } },
  attributes: {},
  shape: ({ x = [] }) => ({ y: x }),
  cost: (inputs, outputs) => ({ flops: elements(inputs.x), bytes: touched(inputs, outputs) }),
})
