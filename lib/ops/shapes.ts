import { ShapeError } from '../errors.js'
import type { Dim, Shape } from '../ir/graph.js'

/**
 * Matches operand shapes against patterns and returns a reader of the bound letters.
 *
 * A pattern is a list of axes: `T`, `B`, `B+1` stand for themselves, numbers too, any other letter is bound at its
 * first use and must agree afterwards (`R` for rows of either kind). Absent optional operands are passed over.
 *
 * `match('linear', shapes, { x: 'R K', w: 'N K', b: 'N' })('N')`
 * @throws {ShapeError} naming the operand that does not fit
 */
export function match(
  op: string,
  shapes: Readonly<Record<string, Shape>>,
  patterns: Readonly<Record<string, string>>,
): (letter: string) => Dim {
  const bound = new Map<string, Dim>()
  for (const [operand, pattern] of Object.entries(patterns)) {
    const shape = shapes[operand]
    if (!shape) continue
    const axes = pattern.split(' ')
    const fits = axes.length === shape.length && axes.every((axis, i) => fitsAxis(bound, axis, shape[i]!))
    if (!fits) {
      const expected = axes.map((axis) => bound.get(axis) ?? axis)
      throw new ShapeError(`${op}: operand "${operand}" is ${text(shape)}, expected ${text(expected)}`, {
        op,
        operand,
        got: shape,
        expected,
      })
    }
  }
  return (letter) => {
    const dim = bound.get(letter)
    if (dim === undefined) throw new ShapeError(`${op}: no operand gives ${letter}`, { op })
    return dim
  }
}

function fitsAxis(bound: Map<string, Dim>, axis: string, dim: Dim): boolean {
  if (axis === 'T' || axis === 'B' || axis === 'B+1') return dim === axis
  if (/^\d+$/.test(axis)) return dim === Number(axis)
  const before = bound.get(axis)
  if (before === undefined) bound.set(axis, dim)
  return before === undefined || before === dim
}

/** The axis as a number; `T` and `B` are not allowed there. */
export function fixed(op: string, what: string, dim: Dim): number {
  if (typeof dim === 'number') return dim
  throw new ShapeError(`${op}: ${what} is ${dim}, expected a fixed size`, { op })
}

/** `[T, 384]` */
export function text(shape: readonly (Dim | string)[]): string {
  return `[${shape.join(', ')}]`
}

/** Bytes of all operands, each once: four per element, since every dtype here has four. */
export function touched(...sides: readonly Readonly<Record<string, readonly number[]>>[]): number {
  let bytes = 0
  for (const side of sides) for (const shape of Object.values(side)) bytes += 4 * elements(shape)
  return bytes
}

export function elements(shape: readonly number[] | undefined): number {
  return shape ? shape.reduce((product, size) => product * size, 1) : 0
}

/** Keys of `wanted` that are true: the optional outputs a backward node is asked for. */
export function wanted(flags: Readonly<Record<string, boolean | undefined>>): string[] {
  return Object.keys(flags).filter((key) => flags[key])
}
