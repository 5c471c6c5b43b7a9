import { type Dim, type MaybeDim, add, divide, equal, multiply, negate, same } from './dim.js'
import { type Field, mapField, uniform, zipFields } from './field.js'
import { contentOf, fieldOf, isInteger, shapeOf } from './known.js'
import type { Quantity } from './network.js'

/** Arithmetic on elements, for every operator that works element by element. */

export interface Facts {
  type?: number | undefined
  shape?: readonly MaybeDim[] | undefined
  content?: readonly MaybeDim[] | undefined
  field?: Field | undefined
}

type Binary = (a: number, b: number) => number

const comparisons: Record<string, Binary> = {
  Equal: (a, b) => Number(a === b),
  Less: (a, b) => Number(a < b),
  LessOrEqual: (a, b) => Number(a <= b),
  Greater: (a, b) => Number(a > b),
  GreaterOrEqual: (a, b) => Number(a >= b),
  And: (a, b) => Number(a !== 0 && b !== 0),
  Or: (a, b) => Number(a !== 0 || b !== 0),
  Xor: (a, b) => Number((a !== 0) !== (b !== 0)),
}

const arithmetic: Record<string, Binary> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
  Mod: (a, b) => a - b * Math.floor(a / b),
  Min: (a, b) => Math.min(a, b),
  Max: (a, b) => Math.max(a, b),
}

const symbolic: Record<string, (a: Dim, b: Dim) => MaybeDim> = {
  Add: add,
  Sub: (a, b) => add(a, negate(b)),
  Mul: multiply,
  Div: divide,
  Equal: (a, b) => {
    const known = equal(a, b)
    return known === undefined ? undefined : Number(known)
  },
  Min: (a, b) => (same(a, b) ? a : undefined),
  Max: (a, b) => (same(a, b) ? a : undefined),
}

const unary: Record<string, (x: number) => number> = {
  Neg: (x) => -x,
  Not: (x) => Number(x === 0),
  Sqrt: Math.sqrt,
  Reciprocal: (x) => 1 / x,
  Abs: Math.abs,
  Floor: Math.floor,
  Ceil: Math.ceil,
  Exp: Math.exp,
  Log: Math.log,
  Sign: Math.sign,
  IsNaN: (x) => Number(Number.isNaN(x)),
}

export const comparisonTypes = new Set(Object.keys(comparisons))
export const binaryTypes = new Set([...Object.keys(arithmetic), ...Object.keys(comparisons)])
export const unaryTypes = new Set(Object.keys(unary))

/** numpy's rule; undefined where the shapes cannot meet or are not known well enough. */
export function broadcastShapes(shapes: readonly (readonly MaybeDim[] | undefined)[]): MaybeDim[] | undefined {
  let result: MaybeDim[] = []
  for (const shape of shapes) {
    if (!shape) return undefined
    const rank = Math.max(result.length, shape.length)
    const next: MaybeDim[] = []
    for (let axis = -rank; axis < 0; axis++) {
      const a = result.length + axis >= 0 ? result.at(axis) : 1
      const b = shape.length + axis >= 0 ? shape.at(axis) : 1
      next.push(broadcastDim(a, b))
    }
    result = next
  }
  return result
}

function broadcastDim(a: MaybeDim, b: MaybeDim): MaybeDim {
  if (a === 1 || same(a, b)) return b
  if (b === 1) return a
  // A name and a number above 1: in a graph that runs they are equal, or the name is 1. The number is the result.
  if (typeof a === 'number') return typeof b === 'number' ? undefined : a
  return typeof b === 'number' ? b : undefined
}

export function inferBinary(type: string, a: Quantity, b: Quantity): Facts {
  const integer = isInteger(a.type)
  const plain = comparisons[type] ?? arithmetic[type]!
  const compute: Binary = type === 'Div' && integer ? (x, y) => Math.trunc(x / y) : plain
  const shape = broadcastShapes([shapeOf(a), shapeOf(b)])
  const content = zipContents([a, b], shape, ([x, y]) => {
    if (x === undefined || y === undefined) return undefined
    if (typeof x === 'number' && typeof y === 'number') return compute(x, y)
    const result = symbolic[type]?.(x, y)
    // 7·S / 2 on integers rounds: only exact quotients stay.
    return integer && typeof result === 'object' && !Number.isInteger(result.factor) ? undefined : result
  })
  const [fieldA, fieldB] = [fieldOf(a), fieldOf(b)]
  return { shape, content, field: fieldA && fieldB ? zipFields(fieldA, fieldB, type, compute) : undefined }
}

export function inferUnary(x: Quantity, f: (x: number) => number, symbol?: (x: Dim) => MaybeDim): Facts {
  const field = fieldOf(x)
  return {
    shape: shapeOf(x),
    content: contentOf(x)?.map((item) => (typeof item === 'number' ? f(item) : item && symbol?.(item))),
    field: field && mapField(field, f),
  }
}

export function unaryFunction(type: string): (x: number) => number {
  return unary[type]!
}

export function inferWhere(condition: Quantity, yes: Quantity, no: Quantity): Facts {
  const shape = broadcastShapes([shapeOf(condition), shapeOf(yes), shapeOf(no)])
  const content = zipContents([condition, yes, no], shape, ([c, a, b]) => {
    if (typeof c !== 'number') return same(a, b) ? a : undefined
    return c !== 0 ? a : b
  })
  return { shape, content, field: chooseField(fieldOf(condition), fieldOf(yes), fieldOf(no)) }
}

function chooseField(condition: Field | undefined, yes: Field | undefined, no: Field | undefined): Field | undefined {
  if (condition?.kind === 'uniform') return condition.value !== 0 ? yes : no
  if (condition?.kind !== 'choice' || !yes || !no) return undefined
  const branch = (field: Field, side: 'kept' | 'dropped'): number | undefined => {
    if (field.kind === 'uniform') return field.value
    if (field.kind !== 'choice' || !zipFields(condition, field, 'Mul', (a) => a)) return undefined
    return field[side]
  }
  const kept = branch(condition.kept !== 0 ? yes : no, 'kept')
  const dropped = branch(condition.dropped !== 0 ? yes : no, 'dropped')
  if (kept === undefined || dropped === undefined) return undefined
  if (kept === dropped) return uniform(kept)
  return { ...condition, kept, dropped }
}

/** Applies f to the broadcast elements of small tensors with plain sizes. */
function zipContents(
  values: readonly Quantity[],
  shape: readonly MaybeDim[] | undefined,
  f: (items: MaybeDim[]) => MaybeDim,
): MaybeDim[] | undefined {
  const contents = values.map(contentOf)
  const size = shape?.reduce<number>((product, dim) => (typeof dim === 'number' ? product * dim : NaN), 1)
  if (!shape || size === undefined || !(size <= 4096) || contents.some((content) => !content)) return undefined
  const shapes = values.map((value) => shapeOf(value) as number[])
  return Array.from({ length: size }, (_, index) =>
    f(contents.map((content, i) => content![broadcastIndex(index, shape as number[], shapes[i]!)])),
  )
}

function broadcastIndex(index: number, shape: readonly number[], source: readonly number[]): number {
  let rest = index
  let result = 0
  let stride = 1
  for (let axis = 1; axis <= shape.length; axis++) {
    const size = shape.at(-axis)!
    const position = rest % size
    rest = Math.floor(rest / size)
    if (axis > source.length) continue
    const own = source.at(-axis)!
    if (own !== 1) result += position * stride
    stride *= own
  }
  return result
}
