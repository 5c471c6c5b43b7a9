/** The bottleneck adapter of Houlsby et al. 2019 §2.1 with the residual sum and LayerNorm that follow it. */
import { activate } from './activations.js'
import { addBias, sumRows, times, timesTransposed, transposedTimes } from './linear.js'
import { dropHidden, normalize, normalizeBackward } from './norm.js'
import { attribute, need, tensor } from './types.js'
import type { Kernel, KernelCall, Tensor } from './types.js'

function activated(call: KernelCall, z: Tensor, what: 'y' | 'derivative'): Tensor {
  const activation = attribute(call, 'activation')
  return tensor(
    z.shape,
    Float64Array.from(z.data, (u) => activate(activation, u, call.round)[what]),
  )
}

/** a = dropout(x); z = a·downᵀ + down_b; y = LN(a + act(z)·upᵀ + up_b + residual). */
export const adapter: Kernel = (call) => {
  const r = call.round
  const a = dropHidden(call, need(call, 'x'))
  const z = timesTransposed(a, need(call, 'down_w'), r)
  addBias(z, need(call, 'down_b'), r)
  const up = timesTransposed(activated(call, z, 'y'), need(call, 'up_w'), r)
  addBias(up, need(call, 'up_b'), r)
  const residual = need(call, 'residual').data
  const sum = tensor(
    a.shape,
    Float64Array.from(a.data, (value, i) => r(r(value + up.data[i]!) + residual[i]!)),
  )
  return { z, ...normalize(sum, need(call, 'gamma'), need(call, 'beta'), attribute(call, 'epsilon'), r) }
}

export const adapterBackward: Kernel = (call) => {
  const r = call.round
  const norm = normalizeBackward(need(call, 'dy'), need(call, 'xhat'), need(call, 'rstd'), need(call, 'gamma'), r)
  const ds = norm.dx
  const z = need(call, 'z')
  const a = dropHidden(call, need(call, 'x'))
  const slope = activated(call, z, 'derivative')
  const back = times(ds, need(call, 'up_w'), r)
  const dz = tensor(
    z.shape,
    Float64Array.from(back.data, (value, i) => r(value * slope.data[i]!)),
  )
  const through = times(dz, need(call, 'down_w'), r)
  const da = tensor(
    ds.shape,
    Float64Array.from(ds.data, (value, i) => r(value + through.data[i]!)),
  )
  return {
    dx: dropHidden(call, da),
    d_residual: ds,
    d_down_w: transposedTimes(dz, a, r),
    d_down_b: sumRows(dz, r),
    d_up_w: transposedTimes(ds, activated(call, z, 'y'), r),
    d_up_b: sumRows(ds, r),
    d_gamma: norm.d_gamma,
    d_beta: norm.d_beta,
  }
}
