import type { Value } from '../ir/graph.js'
import { activations, defineOp } from './define.js'
import { mul } from './mul.js'
import { elements, match, touched, wanted } from './shapes.js'

/**
 * y[R,N] = act(x[R,K]·w[N,K]ᵀ + b[N]), all f32.
 * With an activation it saves `derivative` = act'(u) f32[R,N], so that its backward is one product of elements.
 * A frozen w keeps nothing else: x is read again only where w is trained.
 */
export const linear = defineOp({
  name: 'linear',
  code: 7,
  outputs: { y: { stored: 'any' }, derivative: { optional: true, stored: 'narrow' } },
  inputs: { x: { stored: 'narrow' }, w: { form: 'packed', stored: 'narrow' }, b: { optional: true } },
  attributes: { activation: activations },
  shape(shapes) {
    const dim = match('linear', shapes, { x: 'R K', w: 'N K', b: 'N' })
    return { y: [dim('R'), dim('N')], derivative: [dim('R'), dim('N')] }
  },
  saves: (_, node) => ((node.attributes.activation ?? 'none') === 'none' ? [] : ['derivative']),
  vjp({ node, dy, needs, emit }) {
    const { x, w } = node.inputs
    const { derivative } = node.outputs
    const dz = derivative ? emit(mul, { a: dy, b: derivative }).y! : dy
    const gradients: Record<string, Value> = {}
    if (needs.w || needs.b) {
      const made = emit(linearDw, { dy: dz, x: needs.w ? x : undefined }, {}, wanted({ dw: needs.w, db: needs.b }))
      if (made.dw) gradients.w = made.dw
      if (made.db) gradients.b = made.db
    }
    if (needs.x) gradients.x = emit(linearDx, { dy: dz, w }, { epilogue: 'none' }).dx!
    return gradients
  },
  cost: (inputs, outputs) => ({
    flops: 2 * elements(outputs.y) * (inputs.x?.[1] ?? 0),
    bytes: touched(inputs, outputs),
  }),
})

/** dx[R,K] = dy[R,N]·w[N,K], then as `epilogue` says `∘ other[R,K]` or `+ other[R,K]`: what would be a pass of its own. */
export const linearDx = defineOp({
  name: 'linear_dx',
  code: 8,
  outputs: { dx: { stored: 'narrow' } },
  inputs: {
    dy: { stored: 'any' },
    w: { form: 'packedTransposed', stored: 'narrow' },
    other: { optional: true, stored: 'narrow' },
  },
  attributes: { epilogue: ['none', 'mul', 'add'] },
  shape(shapes) {
    const dim = match('linear_dx', shapes, { dy: 'R N', w: 'N K', other: 'R K' })
    return { dx: [dim('R'), dim('K')] }
  },
  cost: (inputs, outputs) => ({
    flops: 2 * elements(outputs.dx) * (inputs.dy?.[1] ?? 0),
    bytes: touched(inputs, outputs),
  }),
})

/** dw[N,K] = dyᵀ·x, db[N] = Σ rows of dy; each element sums the rows in order, whatever the threads. */
export const linearDw = defineOp({
  name: 'linear_dw',
  code: 9,
  outputs: { dw: { optional: true }, db: { optional: true } },
  inputs: { dy: { stored: 'any' }, x: { optional: true, stored: 'narrow' } },
  attributes: {},
  shape(shapes) {
    const dim = match('linear_dw', shapes, { dy: 'R N', x: 'R K' })
    return { ...(shapes.x && { dw: [dim('N'), dim('K')] }), db: [dim('N')] }
  },
  cost: (inputs, outputs) => ({
    flops: 2 * elements(inputs.dy) * (inputs.x?.[1] ?? 1),
    bytes: touched(inputs, outputs),
  }),
})
