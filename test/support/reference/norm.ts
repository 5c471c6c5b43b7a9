/** LayerNorm (Ba et al. 2016) with and without the residual sum before it. */
import { dropoutScale } from './philox.js'
import { attribute, extents, need, tensor } from './types.js'
import type { Kernel, KernelCall, Round, Tensor } from './types.js'

export interface Normalized {
  readonly y: Tensor
  readonly xhat: Tensor
  readonly rstd: Tensor
}

/** Two passes, biased variance: xhat = (x - mean) · rstd, y = xhat · gamma + beta. */
export function normalize(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: number, r: Round): Normalized {
  const [rows, width] = extents(x)
  const y = tensor(x.shape)
  const xhat = tensor(x.shape)
  const rstd = tensor([rows])
  for (let t = 0; t < rows; t++) {
    const base = t * width
    let sum = 0
    for (let c = 0; c < width; c++) sum = r(sum + x.data[base + c]!)
    const mean = r(sum / width)
    let squares = 0
    for (let c = 0; c < width; c++) {
      const d = r(x.data[base + c]! - mean)
      squares = r(squares + r(d * d))
    }
    const scale = r(1 / r(Math.sqrt(r(r(squares / width) + epsilon))))
    rstd.data[t] = scale
    for (let c = 0; c < width; c++) {
      const hat = r(r(x.data[base + c]! - mean) * scale)
      xhat.data[base + c] = hat
      y.data[base + c] = r(r(hat * gamma.data[c]!) + beta.data[c]!)
    }
  }
  return { y, xhat, rstd }
}

export interface NormGradients {
  readonly dx: Tensor
  readonly d_gamma: Tensor
  readonly d_beta: Tensor
}

/** dx = rstd · (g - mean(g) - xhat · mean(g · xhat)) with g = dy · gamma. */
export function normalizeBackward(dy: Tensor, xhat: Tensor, rstd: Tensor, gamma: Tensor, r: Round): NormGradients {
  const [rows, width] = extents(dy)
  const dx = tensor(dy.shape)
  const dGamma = tensor([width])
  const dBeta = tensor([width])
  for (let t = 0; t < rows; t++) {
    const base = t * width
    let sum = 0
    let dot = 0
    for (let c = 0; c < width; c++) {
      const g = r(dy.data[base + c]! * gamma.data[c]!)
      sum = r(sum + g)
      dot = r(dot + r(g * xhat.data[base + c]!))
      dGamma.data[c] = r(dGamma.data[c]! + r(dy.data[base + c]! * xhat.data[base + c]!))
      dBeta.data[c] = r(dBeta.data[c]! + dy.data[base + c]!)
    }
    const mean = r(sum / width)
    const slope = r(dot / width)
    for (let c = 0; c < width; c++) {
      const g = r(dy.data[base + c]! * gamma.data[c]!)
      dx.data[base + c] = r(rstd.data[t]! * r(r(g - mean) - r(xhat.data[base + c]! * slope)))
    }
  }
  return { dx, d_gamma: dGamma, d_beta: dBeta }
}

export const layerNorm: Kernel = (call) => ({
  ...normalize(need(call, 'x'), need(call, 'gamma'), need(call, 'beta'), attribute(call, 'epsilon'), call.round),
})

export const layerNormBackward: Kernel = (call) => ({
  ...normalizeBackward(need(call, 'dy'), need(call, 'xhat'), need(call, 'rstd'), need(call, 'gamma'), call.round),
})

/** x∘mask/(1-p) over hidden states, stream 0, numbered by row · width + column. */
export function dropHidden(call: KernelCall, x: Tensor): Tensor {
  const p = attribute(call, 'dropout')
  if (p === 0) return x
  const dropout = { p, rng: attribute(call, 'rng'), scalars: call.scalars, stream: 0 }
  return {
    shape: x.shape,
    data: Float64Array.from(x.data, (value, i) => call.round(value * call.round(dropoutScale(dropout, i)))),
  }
}

/** LN(dropout(x) + residual). */
export const residualLayerNorm: Kernel = (call) => {
  const dropped = dropHidden(call, need(call, 'x'))
  const residual = need(call, 'residual')
  const sum = tensor(
    dropped.shape,
    dropped.data.map((value, i) => call.round(value + residual.data[i]!)),
  )
  return { ...normalize(sum, need(call, 'gamma'), need(call, 'beta'), attribute(call, 'epsilon'), call.round) }
}

export const residualLayerNormBackward: Kernel = (call) => {
  const { dx: ds, ...rest } = normalizeBackward(
    need(call, 'dy'),
    need(call, 'xhat'),
    need(call, 'rstd'),
    need(call, 'gamma'),
    call.round,
  )
  return { ...rest, d_residual: ds, dx: dropHidden(call, ds) }
}
