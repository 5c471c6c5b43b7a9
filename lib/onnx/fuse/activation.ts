import type { Activation } from '../../ops/define.js'
import { scalarOf } from '../known.js'
import { type Quantity, textAttribute } from '../network.js'
import { addends, factorise, maker, near } from './pattern.js'

export interface Activated {
  readonly kind: Activation
  readonly x: Quantity
}

/**
 * The activation of a feed-forward layer: ReLU, SiLU, tanh, and GELU in both forms of Hendrycks & Gimpel 2016, as one
 * operator or spelt out. Products are compared as bags of factors, so order and grouping do not matter.
 */
export function matchActivation(value: Quantity): Activated | undefined {
  const relu = maker(value, 'Relu')
  if (relu) return { kind: 'relu', x: relu.inputs[0]! }
  const gelu = maker(value, 'Gelu', 'com.microsoft:Gelu')
  if (gelu)
    return { kind: textAttribute(gelu, 'approximate', 'none') === 'tanh' ? 'gelu_tanh' : 'gelu', x: gelu.inputs[0]! }
  const tanh = maker(value, 'Tanh')
  if (tanh) return { kind: 'tanh', x: tanh.inputs[0]! }
  const { constant, factors } = factorise(value)
  if (factors.length !== 2) return undefined
  for (const [x, gate] of [factors, [...factors].reverse()] as [Quantity, Quantity][]) {
    if (near(constant, 1) && maker(gate, 'Sigmoid')?.inputs[0] === x) return { kind: 'silu', x }
    const inner = plusOne(gate)
    const erf = maker(inner, 'Erf')
    if (erf && near(constant, 0.5) && isMultiple(erf.inputs[0]!, x, Math.SQRT1_2)) return { kind: 'gelu', x }
    const curve = maker(inner, 'Tanh')
    if (curve && near(constant, 0.5) && isCubic(curve.inputs[0]!, x)) return { kind: 'gelu_tanh', x }
  }
  return undefined
}

/** y where the value is 1 + y. */
function plusOne(value: Quantity): Quantity | undefined {
  const items = addends(value)
  if (items.length !== 2) return undefined
  const rest = items.filter((item) => !near(scalarOf(item), 1))
  return rest.length === 1 ? rest[0] : undefined
}

function isMultiple(value: Quantity, x: Quantity, factor: number): boolean {
  const { constant, factors } = factorise(value, x)
  return near(constant, factor) && factors.length === 1 && factors[0] === x
}

/** sqrt(2/π) · (x + 0.044715 x³), also as sqrt(2/π) · x · (1 + 0.044715 x²) or with the factor multiplied in. */
function isCubic(value: Quantity, x: Quantity): boolean {
  const linear = Math.sqrt(2 / Math.PI)
  const outer = factorise(value, x)
  const powersOutside = outer.factors.filter((factor) => factor === x).length
  const inner = outer.factors.filter((factor) => factor !== x)
  if (inner.length !== 1 || powersOutside > 1) return false
  const coefficients = new Map<number, number>()
  for (const item of addends(inner[0]!, x)) {
    const { constant, factors } = factorise(item, x)
    if (!factors.every((factor) => factor === x)) return false
    const power = factors.length + powersOutside
    coefficients.set(power, (coefficients.get(power) ?? 0) + constant * outer.constant)
  }
  return coefficients.size === 2 && near(coefficients.get(1), linear) && near(coefficients.get(3), linear * 0.044715)
}
