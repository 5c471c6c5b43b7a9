import { scalarOf } from '../known.js'
import type { Operator, Quantity } from '../network.js'

/**
 * Raised inside the rules where a part of the graph is not what the rest makes it out to be. `progress` counts how far
 * the rule had come, so the most telling of several failures can be shown.
 */
export class Mismatch extends Error {
  constructor(
    readonly value: Quantity | undefined,
    readonly expected: string,
    readonly progress: number,
    readonly code: string = 'ERR_ONNX_UNSUPPORTED',
  ) {
    super(expected)
  }
}

/** The operator that makes a value as its first output, if it is of one of these types. */
export function maker(value: Quantity | undefined, ...types: readonly string[]): Operator | undefined {
  const operator = value?.producer
  return operator && value.slot === 0 && types.includes(operator.type) ? operator : undefined
}

/** Both orders of the two operands of a commutative operator. */
export function operandOrders(operator: Operator | undefined): [Quantity, Quantity][] {
  const [a, b] = operator?.inputs ?? []
  return a && b
    ? [
        [a, b],
        [b, a],
      ]
    : []
}

/** The operands of a sum or product of which one is a known number everywhere. */
export function withScalar(operator: Operator | undefined): { x: Quantity; scalar: number } | undefined {
  for (const [x, other] of operandOrders(operator)) {
    const scalar = scalarOf(other)
    if (scalar !== undefined) return { x, scalar }
  }
  return undefined
}

/** x where the value is x scaled by a known number: Mul by it, Div by it. */
export function scaled(value: Quantity): { x: Quantity; factor: number } | undefined {
  const product = withScalar(maker(value, 'Mul'))
  if (product) return { x: product.x, factor: product.scalar }
  const [x, divisor] = maker(value, 'Div')?.inputs ?? []
  const number = scalarOf(divisor)
  return x && number !== undefined && number !== 0 ? { x, factor: 1 / number } : undefined
}

/** Longer sums and products than these are not parts of an encoder. */
const maxItems = 8

/**
 * The value as `constant · factors[0] · factors[1] ...`, whatever the order and grouping of the multiplications.
 * @param whole a value that is not taken apart
 */
export function factorise(value: Quantity, whole?: Quantity): { constant: number; factors: Quantity[] } {
  let constant = 1
  const factors: Quantity[] = []
  const open = [value]
  while (open.length) {
    const x = open.pop()!
    const number = scalarOf(x)
    const quotient = maker(x, 'Div')
    const product = maker(x, 'Mul')
    const power = maker(x, 'Pow')
    const exponent = power && scalarOf(power.inputs[1])
    if (number !== undefined) constant *= number
    else if (x === whole || factors.length + open.length >= maxItems) factors.push(x)
    else if (product) open.push(product.inputs[0]!, product.inputs[1]!)
    else if (quotient && scalarOf(quotient.inputs[1]) !== undefined) {
      constant /= scalarOf(quotient.inputs[1])!
      open.push(quotient.inputs[0]!)
    } else if (exponent === 2 || exponent === 3) {
      for (let i = 0; i < exponent; i++) open.push(power!.inputs[0]!)
    } else factors.push(x)
  }
  return { constant, factors }
}

/** The values that a tree of Adds sums up. @param whole a value that is not taken apart */
export function addends(value: Quantity, whole?: Quantity): Quantity[] {
  const found: Quantity[] = []
  const open = [value]
  while (open.length) {
    const x = open.pop()!
    const sum = maker(x, 'Add')
    if (sum && x !== whole && found.length + open.length < maxItems) open.push(sum.inputs[1]!, sum.inputs[0]!)
    else found.push(x)
  }
  return found
}

/** Equal up to what half precision does to a constant of a formula. */
export function near(a: number | undefined, b: number): boolean {
  return a !== undefined && Math.abs(a - b) <= 1e-3 * Math.abs(b)
}
