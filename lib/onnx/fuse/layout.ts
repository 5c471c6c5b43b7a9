import { type Dim, type MaybeDim, divide, same } from '../dim.js'
import { ownDomain } from '../expand.js'
import { type Operator, intsAttribute } from '../network.js'
import { shapeOf } from '../known.js'

/**
 * Which part of which original axis stands where. Reshape and Transpose move and split axes; following the labels
 * tells what a head tensor means, however the exporter got there.
 */
export interface Atom {
  readonly label: string
  readonly size: Dim
}

/** Each axis is a product of atoms, the outermost first. Atoms of size 1 are left out. */
export type Layout = readonly (readonly Atom[])[]

/** Transposes the last two axes. */
export const swapLast = `${ownDomain}:SwapLast`

/** The layout after a Reshape, Transpose, Squeeze or Unsqueeze; undefined where the atoms do not fit the new shape. */
export function moveLayout(layout: Layout, operator: Operator): Layout | undefined {
  if (operator.type === 'Transpose') {
    const perm = intsAttribute(operator, 'perm') ?? layout.map((_, i) => layout.length - 1 - i)
    const moved = perm.map((axis) => layout[axis])
    return perm.length === layout.length && moved.every((axis) => axis !== undefined) ? (moved as Layout) : undefined
  }
  if (operator.type === swapLast)
    return layout.length < 2 ? undefined : [...layout.slice(0, -2), layout.at(-1)!, layout.at(-2)!]
  const target = shapeOf(operator.outputs[0])
  return target && regroup(layout.flat(), target)
}

/**
 * Deals the atoms, in order, to axes of the given sizes. An atom larger than what an axis still needs is split: its
 * outer part gets the label `label.outer`, the rest `label.inner`.
 */
export function regroup(atoms: readonly Atom[], target: readonly MaybeDim[]): Layout | undefined {
  const rest = [...atoms]
  const layout: Atom[][] = []
  for (const size of target) {
    const axis: Atom[] = []
    let need: MaybeDim = size
    while (need !== undefined && !same(need, 1)) {
      const atom = rest.shift()
      if (!atom) return undefined
      const left = wholeQuotient(need, atom.size)
      if (left !== undefined) {
        axis.push(atom)
        need = left
        continue
      }
      const inner = wholeQuotient(atom.size, need)
      if (inner === undefined) return undefined
      axis.push({ label: `${atom.label}.outer`, size: need })
      rest.unshift({ label: `${atom.label}.inner`, size: inner })
      need = 1
    }
    if (need === undefined) return undefined
    layout.push(axis)
  }
  return rest.length === 0 ? layout : undefined
}

function wholeQuotient(a: Dim, b: Dim): MaybeDim {
  const quotient = divide(a, b)
  if (quotient === undefined) return undefined
  const factor = typeof quotient === 'number' ? quotient : quotient.factor
  return Number.isInteger(factor) && factor >= 1 ? quotient : undefined
}

export function labels(axes: readonly (readonly Atom[] | undefined)[]): string {
  return axes.map((axis) => axis?.map((atom) => atom.label).join('*') ?? '?').join(' ')
}
