import type { Value } from '../ir/graph.js'
import { defineOp } from './define.js'
import { elements, match, touched, wanted } from './shapes.js'

/**
 * The end of a transformer sub-layer: y = LN(dropout(x) + residual). x, residual, y, xhat f32[T,C]; gamma, beta f32[C].
 * Saves xhat and rstd f32[T]; the dropout mask is made again in the backward pass (`rng` names its stream, 0 = none).
 */
export const residualLayerNorm = defineOp({
  name: 'residual_layer_norm',
  code: 5,
  outputs: { y: { stored: 'narrow' }, xhat: { optional: true, stored: 'narrow' }, rstd: { optional: true } },
  inputs: { x: {}, residual: { stored: 'narrow' }, gamma: {}, beta: {} },
  attributes: { epsilon: 'f32', dropout: 'f32', rng: 'u32' },
  shape(shapes) {
    const dim = match('residual_layer_norm', shapes, { x: 'R C', residual: 'R C', gamma: 'C', beta: 'C' })
    return { y: [dim('R'), dim('C')], xhat: [dim('R'), dim('C')], rstd: [dim('R')] }
  },
  saves: () => ['xhat', 'rstd'],
  vjp({ node, dy, needs, emit }) {
    const { dropout = 0, rng = 0 } = node.attributes
    // Without dropout both summands have the same gradient: one buffer serves both.
    const shared = dropout === 0
    const want = wanted({
      dx: needs.x && !shared,
      d_residual: needs.residual || (needs.x && shared),
      d_gamma: needs.gamma,
      d_beta: needs.beta,
    })
    const { xhat, rstd } = node.outputs
    const made = emit(residualLayerNormBackward, { dy, xhat, rstd, gamma: node.inputs.gamma }, { dropout, rng }, want)
    const gradients: Record<string, Value> = {}
    const dx = shared ? made.d_residual : made.dx
    if (needs.x && dx) gradients.x = dx
    if (needs.residual && made.d_residual) gradients.residual = made.d_residual
    if (made.d_gamma) gradients.gamma = made.d_gamma
    if (made.d_beta) gradients.beta = made.d_beta
    return gradients
  },
  cost: (inputs, outputs) => ({ flops: 9 * elements(inputs.x), bytes: touched(inputs, outputs) }),
})

/** d_residual is LayerNorm's dx; dx = mask∘d_residual/(1-p). */
export const residualLayerNormBackward = defineOp({
  name: 'residual_layer_norm_backward',
  code: 6,
  outputs: {
    dx: { optional: true, stored: 'narrow' },
    d_residual: { optional: true, stored: 'narrow' },
    d_gamma: { optional: true },
    d_beta: { optional: true },
  },
  inputs: { dy: { stored: 'narrow' }, xhat: { stored: 'narrow' }, rstd: {}, gamma: {} },
  attributes: { dropout: 'f32', rng: 'u32' },
  shape(shapes) {
    const dim = match('residual_layer_norm_backward', shapes, { dy: 'R C', xhat: 'R C', rstd: 'R', gamma: 'C' })
    const rows = [dim('R'), dim('C')]
    return { dx: rows, d_residual: rows, d_gamma: [dim('C')], d_beta: [dim('C')] }
  },
  cost: (inputs, outputs) => ({ flops: 13 * elements(inputs.dy), bytes: touched(inputs, outputs) }),
})
