import { ShapeError } from '../errors.js'
import { defineOp } from './define.js'
import { elements, text, touched } from './shapes.js'

/** y = a + b, f32 of one shape of any rank. May run in place over either. */
export const add = defineOp({
  name: 'add',
  code: 15,
  outputs: { y: { stored: 'narrow' } },
  inputs: { a: { stored: 'narrow' }, b: { stored: 'narrow' } },
  attributes: {},
  shape({ a = [], b = [] }) {
    if (text(a) !== text(b))
      throw new ShapeError(`add: operand "b" is ${text(b)}, expected ${text(a)}`, { op: 'add', operand: 'b' })
    return { y: a }
  },
  vjp: ({ dy, needs }) => ({ ...(needs.a && { a: dy }), ...(needs.b && { b: dy }) }),
  cost: (inputs, outputs) => ({ flops: elements(inputs.a), bytes: touched(inputs, outputs) }),
})
