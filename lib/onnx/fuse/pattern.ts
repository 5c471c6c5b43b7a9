import { scalarOf, shapeOf } from '../known.js'
import type { Operator, Quantity } from '../network.js'

/**
 * Raised inside the rules where a part of the graph is not what the rest makes it out to be. `progress` counts how far
 * the rule had come, so the most telling of several failures can be shown.
 */
export class Mismatch extends Error {
  /** Layers that were understood before. */
  layers = 0

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

/** A factor of a product, to a power. */
export interface Power {
  readonly value: Quantity
  readonly exponent: number
}

/**
 * The value as a product of powers, whatever mix of Mul, Div, Reciprocal, Sqrt and Pow it is written in. Single numbers
 * are multiplied into the constant.
 */
export function powers(value: Quantity): { constant: number; powers: Power[] } {
  let constant = 1
  const found: Power[] = []
  const open: Power[] = [{ value, exponent: 1 }]
  while (open.length) {
    const { value: x, exponent } = open.pop()!
    const number = numberOf(x)
    const operator = maker(x, 'Mul', 'Div', 'Reciprocal', 'Sqrt', 'Pow')
    const [a, b] = operator?.inputs ?? []
    const power = operator?.type === 'Pow' ? scalarOf(b) : 1
    if (number !== undefined) constant *= number ** exponent
    else if (!operator || !a || power === undefined || found.length + open.length >= maxItems)
      found.push({ value: x, exponent })
    else if (operator.type === 'Mul') open.push({ value: a, exponent }, { value: b!, exponent })
    else if (operator.type === 'Div') open.push({ value: a, exponent }, { value: b!, exponent: -exponent })
    else if (operator.type === 'Reciprocal') open.push({ value: a, exponent: -exponent })
    else open.push({ value: a, exponent: exponent * (operator.type === 'Sqrt' ? 0.5 : power) })
  }
  return { constant, powers: found }
}

/** A number that stands alone; a vector that happens to hold the same number everywhere is none. */
function numberOf(value: Quantity): number | undefined {
  return shapeOf(value)?.every((dim) => dim === 1) ? scalarOf(value) : undefined
}

/** a and b where the value is a - b, or a + (-b). */
export function difference(value: Quantity): { a: Quantity; b: Quantity } | undefined {
  const [a, b] = maker(value, 'Sub')?.inputs ?? []
  if (a && b) return { a, b }
  for (const [x, negated] of operandOrders(maker(value, 'Add'))) {
    const y = maker(negated, 'Neg')?.inputs[0]
    if (y) return { a: x, b: y }
  }
  return undefined
}

/** A product with its constant. */
export interface Term {
  readonly constant: number
  readonly factors: readonly Quantity[]
}

/**
 * The value multiplied out: a sum of products of `atoms`, which are not taken apart themselves. Undefined where
 * anything else is in it, or it grows too long.
 */
export function multiplyOut(value: Quantity, atoms: ReadonlySet<Quantity>, depth = 0): Term[] | undefined {
  if (atoms.has(value)) return [{ constant: 1, factors: [value] }]
  const number = scalarOf(value)
  if (number !== undefined) return [{ constant: number, factors: [] }]
  const operator = maker(value, 'Add', 'Sub', 'Mul', 'Div', 'Pow', 'Neg')
  const [x, y] = operator?.inputs ?? []
  if (!operator || !x || depth > maxItems) return undefined
  const a = multiplyOut(x, atoms, depth + 1)
  if (!a) return undefined
  const scale = (terms: readonly Term[], factor: number) =>
    terms.map((term) => ({ ...term, constant: term.constant * factor }))
  if (operator.type === 'Neg') return scale(a, -1)
  const second = scalarOf(y)
  if (operator.type === 'Div') return second ? scale(a, 1 / second) : undefined
  if (operator.type === 'Pow') {
    if (second !== 2 && second !== 3) return undefined
    const square = multiplyTerms(a, a)
    return second === 2 ? square : square && multiplyTerms(square, a)
  }
  const b = y && multiplyOut(y, atoms, depth + 1)
  if (!b) return undefined
  switch (operator.type) {
    case 'Add':
      return sumTerms([...a, ...b])
    case 'Sub':
      return sumTerms([...a, ...scale(b, -1)])
    default:
      return multiplyTerms(a, b)
  }
}

function multiplyTerms(a: readonly Term[], b: readonly Term[]): Term[] | undefined {
  return sumTerms(
    a.flatMap((x) => b.map((y) => ({ constant: x.constant * y.constant, factors: [...x.factors, ...y.factors] }))),
  )
}

/** Like terms added up. */
function sumTerms(terms: readonly Term[]): Term[] | undefined {
  const sum: Term[] = []
  for (const term of terms) {
    if (term.factors.length > maxItems) return undefined
    const at = sum.findIndex((other) => sameBag(other.factors, term.factors))
    if (at < 0) sum.push(term)
    else sum[at] = { ...term, constant: sum[at]!.constant + term.constant }
  }
  return sum.length <= maxItems ? sum : undefined
}

function sameBag(a: readonly Quantity[], b: readonly Quantity[]): boolean {
  const count = (list: readonly Quantity[], x: Quantity) => list.filter((item) => item === x).length
  return a.length === b.length && a.every((x) => count(a, x) === count(b, x))
}

/** Whether a sum is made of these products with these constants, and of nothing else. */
export function equalTerms(terms: readonly Term[] | undefined, wanted: readonly Term[]): boolean {
  return (
    terms !== undefined &&
    terms.length === wanted.length &&
    wanted.every(({ constant, factors }) =>
      terms.some((term) => sameBag(term.factors, factors) && near(term.constant, constant)),
    )
  )
}

/** The values that a tree of Adds sums up. @param isWhole says of a value that it is not taken apart */
export function addends(value: Quantity, isWhole: (x: Quantity) => boolean = () => false): Quantity[] {
  const found: Quantity[] = []
  const open = [value]
  while (open.length) {
    const x = open.pop()!
    const sum = maker(x, 'Add')
    if (sum && !isWhole(x) && found.length + open.length < maxItems) open.push(sum.inputs[1]!, sum.inputs[0]!)
    else found.push(x)
  }
  return found
}

/** Equal up to what half precision does to a constant of a formula. */
export function near(a: number | undefined, b: number): boolean {
  return a !== undefined && Math.abs(a - b) <= 1e-3 * Math.abs(b)
}
