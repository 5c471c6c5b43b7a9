/**
 * Sizes that are known only by name. A `Dim` is a number or a product `factor · a · b / c` of named sizes; `B` is the
 * batch, `S` the padded sequence length. Sums of names are not needed to follow the reshapes of an encoder, so they are
 * simply unknown (undefined).
 */

export interface SymbolicDim {
  readonly factor: number
  /** Sorted; a name may occur more than once. */
  readonly names: readonly string[]
}

/** Longer products than any tensor has axes are not sizes. */
const maxNames = 16

export type Dim = number | SymbolicDim
export type MaybeDim = Dim | undefined

export function named(name: string): SymbolicDim {
  return { factor: 1, names: [name] }
}

export const batch = named('B')
export const sequence = named('S')

function parts(dim: Dim): SymbolicDim {
  return typeof dim === 'number' ? { factor: dim, names: [] } : dim
}

function simplify(factor: number, names: readonly string[]): Dim {
  return names.length === 0 || factor === 0 ? factor : { factor, names: [...names].sort() }
}

export function same(a: MaybeDim, b: MaybeDim): boolean {
  if (a === undefined || b === undefined) return false
  const x = parts(a)
  const y = parts(b)
  return x.factor === y.factor && x.names.length === y.names.length && x.names.every((name, i) => name === y.names[i])
}

export function sameShape(a: readonly MaybeDim[] | undefined, b: readonly MaybeDim[] | undefined): boolean {
  return a !== undefined && b !== undefined && a.length === b.length && a.every((dim, i) => same(dim, b[i]))
}

export function multiply(a: Dim, b: Dim): MaybeDim {
  const x = parts(a)
  const y = parts(b)
  if (x.names.length + y.names.length > maxNames) return undefined
  return simplify(x.factor * y.factor, [...x.names, ...y.names])
}

/** a / b where b's names all occur in a; the factor may become a fraction. */
export function divide(a: Dim, b: Dim): MaybeDim {
  const x = parts(a)
  const y = parts(b)
  if (y.factor === 0) return undefined
  const names = [...x.names]
  for (const name of y.names) {
    const at = names.indexOf(name)
    if (at < 0) return undefined
    names.splice(at, 1)
  }
  return simplify(x.factor / y.factor, names)
}

export function add(a: Dim, b: Dim): MaybeDim {
  const x = parts(a)
  const y = parts(b)
  if (x.factor === 0) return b
  if (y.factor === 0) return a
  if (x.names.join() !== y.names.join()) return undefined
  return simplify(x.factor + y.factor, x.names)
}

export function negate(a: Dim): Dim {
  const { factor, names } = parts(a)
  return simplify(-factor, names)
}

/** Whether two sizes are equal: named sizes are at least 1, so they never equal a number below that. */
export function equal(a: Dim, b: Dim): boolean | undefined {
  if (same(a, b)) return true
  const x = parts(a)
  const y = parts(b)
  if (!x.names.length && !y.names.length) return false
  if (x.factor > 0 !== y.factor > 0) return false
  return undefined
}

export function product(dims: readonly MaybeDim[]): MaybeDim {
  let result: MaybeDim = 1
  for (const dim of dims) {
    if (dim === undefined || result === undefined) return undefined
    result = multiply(result, dim)
  }
  return result
}
