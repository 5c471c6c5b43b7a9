import { ShapeError } from '../errors.js'
import { defineOp } from './define.js'
import { elements, text, touched } from './shapes.js'

/** y = a∘b, f32 of one shape of any rank. May run in place over either. */
export const mul = defineOp({
  name: 'mul',
  code: 16,
  outputs: { y: { stored: 'narrow' } },
  inputs: { a: { stored: 'narrow' }, b: { stored: 'narrow' } },
  attributes: {},
  shape({ a = [], b = [] }) {
    if (text(a) !== text(b))
      throw new ShapeError(`mul: operand "b" is ${text(b)}, expected ${text(a)}`, { op: 'mul', operand: 'b' })
    return { y: a }
  },
  vjp({ node, dy, needs, emit }) {
    const { a, b } = node.inputs
    return {
      ...(needs.a && { a: emit(mul, { a: dy, b }).y! }),
      ...(needs.b && { b: emit(mul, { a: dy, b: a }).y! }),
    }
  },
  cost: (inputs, outputs) => ({ flops: elements(inputs.a), bytes: touched(inputs, outputs) }),
})
