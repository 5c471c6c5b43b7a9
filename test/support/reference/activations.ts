/** Activations and their derivatives; the order is that of OA_FOR_EACH_ACTIVATION in native/base/activations.h. */
import type { Round } from './types.js'

export interface Activated {
  readonly y: number
  readonly derivative: number
}

const inverseSqrt2 = Math.SQRT1_2
const inverseSqrt2Pi = 1 / Math.sqrt(2 * Math.PI)
const tanhScale = Math.sqrt(2 / Math.PI)
const tanhCubic = 0.044715

/** erf to about 1e-16: a series of positive terms below 3, a continued fraction above (Abramowitz & Stegun 7.1.6, 7.1.14). */
export function erf(x: number): number {
  const z = Math.abs(x)
  if (z > 6) return Math.sign(x)
  if (z < 3) {
    let term = z
    let sum = z
    for (let n = 1; n < 80; n++) {
      term *= (2 * z * z) / (2 * n + 1)
      sum += term
      if (term < sum * 1e-17) break
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-z * z) * sum
  }
  let fraction = z
  for (let n = 60; n >= 1; n--) fraction = z + n / 2 / fraction
  return Math.sign(x) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / fraction)
}

type Formula = (u: number, round: Round) => Activated

const none: Formula = (u) => ({ y: u, derivative: 1 })

/** Hendrycks & Gimpel 2016, the tanh approximation. */
const geluTanh: Formula = (u, r) => {
  const inner = r(tanhScale * r(u + r(tanhCubic * r(r(u * u) * u))))
  const t = r(Math.tanh(inner))
  const slope = r(tanhScale * r(1 + r(3 * tanhCubic * r(u * u))))
  const half = r(0.5 * r(1 + t))
  return { y: r(u * half), derivative: r(half + r(r(0.5 * u) * r(r(1 - r(t * t)) * slope))) }
}

/** Hendrycks & Gimpel 2016, u · Φ(u). */
const gelu: Formula = (u, r) => {
  const cdf = r(0.5 * r(1 + r(erf(r(u * r(inverseSqrt2))))))
  const density = r(r(inverseSqrt2Pi) * r(Math.exp(r(-0.5 * r(u * u)))))
  return { y: r(u * cdf), derivative: r(cdf + r(u * density)) }
}

const relu: Formula = (u) => ({ y: u > 0 ? u : 0, derivative: u > 0 ? 1 : 0 })

const silu: Formula = (u, r) => {
  const sigmoid = r(1 / r(1 + r(Math.exp(-u))))
  return { y: r(u * sigmoid), derivative: r(sigmoid * r(1 + r(u * r(1 - sigmoid)))) }
}

const tanh: Formula = (u, r) => {
  const t = r(Math.tanh(u))
  return { y: t, derivative: r(1 - r(t * t)) }
}

const formulas: readonly Formula[] = [none, geluTanh, gelu, relu, silu, tanh]

export function activate(activation: number, u: number, round: Round): Activated {
  const formula = formulas[activation]
  if (!formula) throw new RangeError(`no activation ${activation}`)
  return formula(u, round)
}
