import type { Activation } from '../../ops/define.js'
import { type Operator, type Quantity, textAttribute } from '../network.js'
import { equalTerms, maker, multiplyOut, scaled } from './pattern.js'

export interface Activated {
  readonly kind: Activation
  readonly x: Quantity
}

/**
 * The activation of a feed-forward layer: ReLU, SiLU, tanh, and GELU in both forms of Hendrycks & Gimpel 2016, as one
 * operator or spelt out. A formula is multiplied out before it is compared, so order, grouping and where its constants
 * stand do not matter.
 */
export function matchActivation(value: Quantity): Activated | undefined {
  const relu = maker(value, 'Relu')
  if (relu) return { kind: 'relu', x: relu.inputs[0]! }
  const gelu = maker(value, 'Gelu', 'com.microsoft:Gelu')
  if (gelu)
    return { kind: textAttribute(gelu, 'approximate', 'none') === 'tanh' ? 'gelu_tanh' : 'gelu', x: gelu.inputs[0]! }
  const tanh = maker(value, 'Tanh')
  if (tanh) return { kind: 'tanh', x: tanh.inputs[0]! }
  const curve = findCurve(value)
  const argument = curve?.inputs[0]
  if (!curve || !argument) return undefined
  for (const x of candidates(argument)) {
    const kind = matchFormula(value, curve, argument, x)
    if (kind) return { kind, x }
  }
  return undefined
}

/** Formulas are not longer than this. */
const maxNodes = 32

/** The one Erf, Tanh or Sigmoid in the arithmetic that makes a value. */
function findCurve(value: Quantity): Operator | undefined {
  for (const x of arithmeticTree(value)) {
    const curve = maker(x, 'Erf', 'Tanh', 'Sigmoid')
    if (curve) return curve
  }
  return undefined
}

/** The values in a formula, outermost first. */
function arithmeticTree(value: Quantity): Set<Quantity> {
  const tree = new Set([value])
  for (const x of tree) {
    const operator = maker(x, 'Add', 'Sub', 'Mul', 'Div', 'Pow', 'Neg')
    for (const input of operator?.inputs ?? []) if (input && tree.size < maxNodes) tree.add(input)
  }
  return tree
}

/** What x may be: the argument itself, without its scale, or a value in it. */
function candidates(argument: Quantity): Set<Quantity> {
  const found = new Set([argument])
  let x = argument
  for (let inner = scaled(x); inner; inner = scaled(x)) {
    x = inner.x
    found.add(x)
    if (found.size > maxNodes) break
  }
  for (const part of arithmeticTree(x)) found.add(part)
  return found
}

function matchFormula(value: Quantity, curve: Operator, argument: Quantity, x: Quantity): Activation | undefined {
  const f = curve.outputs[0]!
  const whole = multiplyOut(value, new Set([x, f]))
  if (!whole) return undefined
  const inner = multiplyOut(argument, new Set([x]))
  if (curve.type === 'Sigmoid') {
    const product = [{ constant: 1, factors: [x, f] }]
    return argument === x && equalTerms(whole, product) ? 'silu' : undefined
  }
  const halves = [
    { constant: 0.5, factors: [x] },
    { constant: 0.5, factors: [x, f] },
  ]
  if (!equalTerms(whole, halves)) return undefined
  if (curve.type === 'Erf') return equalTerms(inner, [{ constant: Math.SQRT1_2, factors: [x] }]) ? 'gelu' : undefined
  const linear = Math.sqrt(2 / Math.PI)
  const cubic = [
    { constant: linear, factors: [x] },
    { constant: linear * 0.044715, factors: [x, x, x] },
  ]
  return equalTerms(inner, cubic) ? 'gelu_tanh' : undefined
}
