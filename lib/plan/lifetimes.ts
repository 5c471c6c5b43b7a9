import type { Value } from '../ir/graph.js'
import type { Entry } from './schedule.js'

/** The nodes, by index, during which one piece of the arena is in use, both ends included. */
export interface Lifetime {
  readonly first: number
  readonly last: number
  /** Values that share the piece one after the other: an elementwise op may write over its operand. */
  readonly values: readonly Value[]
}

/** Ops that may write over an operand of the same shape, and which operands. */
const inPlace: Readonly<Record<string, readonly string[]>> = { add: ['a', 'b'], mul: ['a', 'b'], dropout: ['x'] }

/**
 * When each activation of an entry is alive: from the node that writes it to the last that reads it; results to the
 * end. An operand read for the last time by an op that can run in place passes its memory on to the result.
 */
export function lifetimes(entry: Entry): Lifetime[] {
  const results = new Set([entry.loss, entry.norm, entry.output])
  const last = new Map<Value, number>()
  entry.nodes.forEach((node, i) => {
    for (const value of [...Object.values(node.outputs), ...Object.values(node.inputs)]) last.set(value, i)
  })
  for (const value of results) if (value) last.set(value, entry.nodes.length)

  const pieces = new Map<Value, { first: number; last: number; values: Value[] }>()
  entry.nodes.forEach((node, i) => {
    for (const value of Object.values(node.outputs)) {
      if (value.storage !== 'activation') continue
      const donor = (inPlace[node.op] ?? [])
        .map((operand) => node.inputs[operand]!)
        .find((operand) => pieces.has(operand) && last.get(operand) === i && isAlike(operand, value))
      const piece = donor ? pieces.get(donor)! : { first: i, last: i, values: [] }
      piece.values.push(value)
      piece.last = last.get(value)!
      pieces.set(value, piece)
    }
  })
  return [...new Set(pieces.values())]
}

function isAlike(a: Value, b: Value): boolean {
  return a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((dim, i) => dim === b.shape[i])
}
