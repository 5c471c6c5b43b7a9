import type { Value } from '../ir/graph.js'
import { defineOp } from './define.js'
import { elements, match, touched, wanted } from './shapes.js'

/**
 * Layer normalisation (Ba et al. 2016): xhat = (x - mean)·rstd with the biased variance, y = xhat∘gamma + beta.
 * x, y, xhat f32[R,C], gamma, beta f32[C], rstd f32[R]. Saves xhat and rstd.
 */
export const layerNorm = defineOp({
  name: 'layer_norm',
  code: 3,
  outputs: { y: { stored: 'narrow' }, xhat: { optional: true, stored: 'narrow' }, rstd: { optional: true } },
  inputs: { x: { stored: 'narrow' }, gamma: {}, beta: {} },
  attributes: { epsilon: 'f32' },
  shape(shapes) {
    const dim = match('layer_norm', shapes, { x: 'R C', gamma: 'C', beta: 'C' })
    return { y: [dim('R'), dim('C')], xhat: [dim('R'), dim('C')], rstd: [dim('R')] }
  },
  saves: () => ['xhat', 'rstd'],
  vjp({ node, dy, needs, emit }) {
    const want = wanted({ dx: needs.x, d_gamma: needs.gamma, d_beta: needs.beta })
    const { xhat, rstd } = node.outputs
    const made = emit(layerNormBackward, { dy, xhat, rstd, gamma: node.inputs.gamma }, {}, want)
    const gradients: Record<string, Value> = {}
    if (made.dx) gradients.x = made.dx
    if (made.d_gamma) gradients.gamma = made.d_gamma
    if (made.d_beta) gradients.beta = made.d_beta
    return gradients
  },
  cost: (inputs, outputs) => ({ flops: 8 * elements(inputs.x), bytes: touched(inputs, outputs) }),
})

/** dx = rstd·(g - mean(g) - xhat·mean(g∘xhat)) with g = dy∘gamma; d_gamma = Σ dy∘xhat, d_beta = Σ dy over rows. */
export const layerNormBackward = defineOp({
  name: 'layer_norm_backward',
  code: 4,
  outputs: { dx: { optional: true, stored: 'narrow' }, d_gamma: { optional: true }, d_beta: { optional: true } },
  inputs: { dy: { stored: 'narrow' }, xhat: { stored: 'narrow' }, rstd: {}, gamma: {} },
  attributes: {},
  shape(shapes) {
    const dim = match('layer_norm_backward', shapes, { dy: 'R C', xhat: 'R C', rstd: 'R', gamma: 'C' })
    return { dx: [dim('R'), dim('C')], d_gamma: [dim('C')], d_beta: [dim('C')] }
  },
  cost: (inputs, outputs) => ({ flops: 12 * elements(inputs.dy), bytes: touched(inputs, outputs) }),
})
