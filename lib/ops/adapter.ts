import type { Value } from '../ir/graph.js'
import { activations, defineOp } from './define.js'
import { elements, match, touched, wanted } from './shapes.js'

/**
 * A bottleneck adapter with the residual and LayerNorm that follow it (Houlsby et al. 2019 §2.1):
 * a = dropout(x); z = a·down_wᵀ + down_b; s = a + act(z)·up_wᵀ + up_b + residual; y = LN(s).
 * x is the dense output (bias included), x, residual, y, xhat f32[T,C]; down_w f32[M,C], up_w f32[C,M]; z f32[T,M].
 * Saves xhat, rstd f32[T] and z.
 */
export const adapter = defineOp({
  name: 'adapter',
  code: 12,
  outputs: {
    y: { stored: 'narrow' },
    xhat: { optional: true, stored: 'narrow' },
    rstd: { optional: true },
    z: { optional: true, stored: 'narrow' },
  },
  inputs: {
    x: {},
    residual: { stored: 'narrow' },
    down_w: { form: 'packed', stored: 'narrow' },
    down_b: {},
    up_w: { form: 'packed', stored: 'narrow' },
    up_b: {},
    gamma: {},
    beta: {},
  },
  attributes: { activation: activations, epsilon: 'f32', dropout: 'f32', rng: 'u32' },
  shape(shapes) {
    const dim = match('adapter', shapes, {
      x: 'R C',
      residual: 'R C',
      down_w: 'M C',
      down_b: 'M',
      up_w: 'C M',
      up_b: 'C',
      gamma: 'C',
      beta: 'C',
    })
    const rows = [dim('R'), dim('C')]
    return { y: rows, xhat: rows, rstd: [dim('R')], z: [dim('R'), dim('M')] }
  },
  saves: () => ['xhat', 'rstd', 'z'],
  vjp({ node, dy, needs, emit }) {
    const { x, down_w, up_w, gamma } = node.inputs
    const { z, xhat, rstd } = node.outputs
    const { activation = 'none', dropout = 0, rng = 0 } = node.attributes
    const outputOf: Record<string, string> = {
      x: 'dx',
      residual: 'd_residual',
      down_w: 'd_down_w',
      down_b: 'd_down_b',
      up_w: 'd_up_w',
      up_b: 'd_up_b',
      gamma: 'd_gamma',
      beta: 'd_beta',
    }
    const want = wanted(Object.fromEntries(Object.entries(outputOf).map(([input, output]) => [output, needs[input]])))
    const made = emit(
      adapterBackward,
      { dy, x, z, xhat, rstd, down_w, up_w, gamma },
      { activation, dropout, rng },
      want,
    )
    const gradients: Record<string, Value> = {}
    for (const [input, output] of Object.entries(outputOf)) if (made[output]) gradients[input] = made[output]
    return gradients
  },
  cost: (inputs, outputs) => ({
    flops: (4 * (inputs.down_w?.[0] ?? 0) + 10) * elements(inputs.x),
    bytes: touched(inputs, outputs),
  }),
})

/**
 * With ds from LayerNorm: d_residual = ds; d_up_w = dsᵀ·act(z), d_up_b = Σds; dz = (ds·up_w)∘act'(z);
 * d_down_w = dzᵀ·a, d_down_b = Σdz; da = ds + dz·down_w; dx = mask∘da/(1-p).
 */
export const adapterBackward = defineOp({
  name: 'adapter_backward',
  code: 13,
  outputs: {
    dx: { optional: true, stored: 'narrow' },
    d_residual: { optional: true, stored: 'narrow' },
    d_down_w: { optional: true },
    d_down_b: { optional: true },
    d_up_w: { optional: true },
    d_up_b: { optional: true },
    d_gamma: { optional: true },
    d_beta: { optional: true },
  },
  inputs: {
    dy: { stored: 'narrow' },
    x: { stored: 'narrow' },
    z: { stored: 'narrow' },
    xhat: { stored: 'narrow' },
    rstd: {},
    down_w: { stored: 'narrow' },
    up_w: { stored: 'narrow' },
    gamma: {},
  },
  attributes: { activation: activations, dropout: 'f32', rng: 'u32' },
  shape(shapes) {
    const dim = match('adapter_backward', shapes, {
      dy: 'R C',
      x: 'R C',
      z: 'R M',
      xhat: 'R C',
      rstd: 'R',
      down_w: 'M C',
      up_w: 'C M',
      gamma: 'C',
    })
    const rows = [dim('R'), dim('C')]
    const [M, C] = [dim('M'), dim('C')]
    return {
      dx: rows,
      d_residual: rows,
      d_down_w: [M, C],
      d_down_b: [M],
      d_up_w: [C, M],
      d_up_b: [C],
      d_gamma: [C],
      d_beta: [C],
    }
  },
  cost: (inputs, outputs) => ({
    flops: (8 * (inputs.down_w?.[0] ?? 0) + 16) * elements(inputs.x),
    bytes: touched(inputs, outputs),
  }),
})
