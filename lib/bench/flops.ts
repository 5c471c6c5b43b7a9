import type { Node, Shape } from '../ir/graph.js'
import { opByName } from '../ops/index.js'
import { bind, type Capacity } from '../plan/arena.js'
import { sum } from './statistics.js'

/**
 * Floating-point operations of nodes on a batch, by the ops' own `cost`. Those take sequences to be of equal length;
 * attention's work grows with the squares of the lengths, so here it is scaled by the real ones.
 * @param lengths tokens of each sequence
 */
export function countFlops(nodes: readonly Node[], lengths: readonly number[]): number {
  const capacity = { tokens: sum(lengths), sequences: lengths.length }
  const squares = sum(lengths.map((length) => length ** 2))
  const unevenness = (squares * lengths.length) / capacity.tokens ** 2
  return sum(
    nodes.map((node) => {
      const { flops } = opByName(node.op).cost(bound(node.inputs, capacity), bound(node.outputs, capacity))
      return node.op.startsWith('attention') ? flops * unevenness : flops
    }),
  )
}

function bound(
  operands: Readonly<Record<string, { readonly shape: Shape }>>,
  capacity: Capacity,
): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(operands).map(([name, { shape }]) => [name, shape.map((dim) => bind(dim, capacity))]),
  )
}
