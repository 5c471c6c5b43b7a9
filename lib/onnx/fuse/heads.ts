import { type Dim } from '../dim.js'
import { shapeOf } from '../known.js'
import type { Operator, Quantity } from '../network.js'
import { type Atom, type Layout, moveLayout, regroup, swapLast } from './layout.js'
import { type Linear, matchLinear } from './linear.js'
import { Mismatch, scaled } from './pattern.js'

const views = new Set(['Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'Flatten', swapLast])
/** More steps than this between two products are not head splitting. */
const maxSteps = 32

/** A projection cut into heads: query, key or value. */
export interface Heads {
  readonly linear: Linear
  readonly layout: Layout
  /** Known numbers multiplied in on the way. */
  readonly factor: number
}

/** Sizes of the token grid. */
export interface Grid {
  readonly batch: Dim
  readonly sequence: Dim
}

/** Follows an operand of an attention product back to its projection, through views and scalings in any order. */
export function matchHeads(operand: Quantity, grid: Grid, progress: number): Heads {
  const chain: Operator[] = []
  let factor = 1
  let current = operand
  let linear = matchLinear(current)
  while (!linear) {
    const scaling = scaled(current)
    const view = current.producer
    if (scaling) {
      factor *= scaling.factor
      current = scaling.x
    } else if (view && views.has(view.type) && view.inputs[0] && chain.length < maxSteps) {
      chain.unshift(view)
      current = view.inputs[0]
    } else {
      throw new Mismatch(current, 'a linear projection, reshaped to [batch, sequence, heads, width]', progress)
    }
    linear = matchLinear(current)
  }
  // One head alone is a view that keeps the last axis: then the linear layer is found through it, in its shape.
  const shape = shapeOf(current)
  const atoms = gridAtoms(grid, linear.weight.shape[0]!)
  let layout: Layout | undefined =
    shape &&
    regroup(
      atoms.filter((atom) => atom.size !== 1),
      shape,
    )
  if (!layout) throw new Mismatch(current, 'a projection of shape [batch, sequence, hidden]', progress)
  for (const view of chain) {
    layout = moveLayout(layout, view)
    if (!layout)
      throw new Mismatch(view.outputs[0], 'a reshape whose sizes follow from batch, sequence and constants', progress)
  }
  return { linear, layout, factor }
}

function gridAtoms(grid: Grid, width: number): Atom[] {
  return [
    { label: 'batch', size: grid.batch },
    { label: 'sequence', size: grid.sequence },
    { label: 'hidden', size: width },
  ]
}

/** Follows the merged heads back to the product that made them: returns it and what the views in between make of it. */
export function matchMergedHeads(
  merged: Quantity,
  progress: number,
  expected = 'the product of attention probabilities and values',
): { product: Operator; views: Operator[] } {
  const chain: Operator[] = []
  let current = merged
  for (let step = 0; step < maxSteps; step++) {
    const producer = current.producer
    if (producer?.type === 'MatMul') return { product: producer, views: chain }
    if (!producer || !views.has(producer.type) || !producer.inputs[0]) break
    chain.unshift(producer)
    current = producer.inputs[0]
  }
  throw new Mismatch(current, expected, progress)
}

export function isView(operator: Operator): boolean {
  return views.has(operator.type) && shapeOf(operator.outputs[0]) !== undefined
}
