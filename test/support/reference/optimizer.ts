/** Global gradient norm, and AdamW (Kingma & Ba 2015 Alg. 1; Loshchilov & Hutter 2019). */
import { attribute, need, tensor } from './types.js'
import type { Kernel } from './types.js'

/** Partial sums are f64 in the kernel too, so only the result is rounded. */
export const gradNorm: Kernel = (call) => {
  let sum = 0
  for (const g of need(call, 'gradients').data) sum += g * g
  return { norm: tensor([1], [call.round(Math.sqrt(sum))]) }
}

/** Reads and writes parameters and moments in place; here old ones come in under the same names. */
export const adamw: Kernel = (call) => {
  const r = call.round
  const { learningRate, step } = call.scalars
  const [beta1, beta2, epsilon] = [attribute(call, 'beta1'), attribute(call, 'beta2'), attribute(call, 'epsilon')]
  const gradients = need(call, 'gradients')
  const norm = need(call, 'norm').data[0]!
  const parameters = tensor(gradients.shape, need(call, 'parameters').data)
  const moment1 = tensor(gradients.shape, need(call, 'moment1').data)
  const moment2 = tensor(gradients.shape, need(call, 'moment2').data)
  if (!Number.isFinite(norm)) return { parameters, moment1, moment2 }
  const clip = attribute(call, 'clip_norm')
  const factor = clip > 0 ? r(Math.min(1, clip / (norm + 1e-6))) : 1
  const corrected = attribute(call, 'bias_correction') === 1
  const scale1 = corrected ? 1 - beta1 ** (step + 1) : 1
  const scale2 = corrected ? Math.sqrt(1 - beta2 ** (step + 1)) : 1
  for (let i = 0; i < gradients.data.length; i++) {
    const g = r(gradients.data[i]! * factor)
    let p = parameters.data[i]!
    if (i < attribute(call, 'decayed')) p = r(p * r(1 - r(learningRate * attribute(call, 'weight_decay'))))
    const m = r(r(beta1 * moment1.data[i]!) + r(r(1 - beta1) * g))
    const v = r(r(beta2 * moment2.data[i]!) + r(r(1 - beta2) * r(g * g)))
    moment1.data[i] = m
    moment2.data[i] = v
    parameters.data[i] = r(p - r(r(r(learningRate / scale1) * m) / r(r(r(Math.sqrt(v)) / scale2) + epsilon)))
  }
  return { parameters, moment1, moment2 }
}
