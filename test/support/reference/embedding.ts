import { attribute, need, tensor } from './types.js'
import type { Kernel, KernelCall } from './types.js'

/** The position row of every packed token: its place in its own sequence plus the offset. */
function positions(call: KernelCall): number[] {
  const cu = need(call, 'cu').data
  const offset = attribute(call, 'position_offset')
  const rows: number[] = []
  for (let b = 0; b + 1 < cu.length; b++) for (let t = cu[b]!; t < cu[b + 1]!; t++) rows.push(t - cu[b]! + offset)
  return rows
}

/** y[T,C] = word[ids] + position[...] + token_type[types]; without types, row 0. */
export const embedding: Kernel = (call) => {
  const ids = need(call, 'ids').data
  const word = need(call, 'word')
  const { types, position, token_type: tokenType } = call.inputs
  const width = word.shape[1]!
  const rows = positions(call)
  const y = tensor([ids.length, width])
  for (let t = 0; t < ids.length; t++) {
    for (let c = 0; c < width; c++) {
      let sum = word.data[ids[t]! * width + c]!
      if (position) sum = call.round(sum + position.data[rows[t]! * width + c]!)
      if (tokenType) sum = call.round(sum + tokenType.data[(types ? types.data[t]! : 0) * width + c]!)
      y.data[t * width + c] = sum
    }
  }
  return { y }
}

/**
 * d_table[row] = sum of dy over the tokens that read the row, in token order.
 * The tables' row counts are not among the operands: `rows` gives them.
 */
export function embeddingBackward(rows: Readonly<Record<'d_word' | 'd_position' | 'd_token_type', number>>): Kernel {
  return (call) => {
    const dy = need(call, 'dy')
    const ids = need(call, 'ids').data
    const types = call.inputs['types']
    const width = dy.shape[1]!
    const position = positions(call)
    const scatter = (count: number, rowOf: (token: number) => number) => {
      const sum = tensor([count, width])
      for (let t = 0; t < ids.length; t++) {
        const row = rowOf(t)
        if (row >= count) continue
        for (let c = 0; c < width; c++) {
          sum.data[row * width + c] = call.round(sum.data[row * width + c]! + dy.data[t * width + c]!)
        }
      }
      return sum
    }
    return {
      d_word: scatter(rows.d_word, (t) => ids[t]!),
      d_position: scatter(rows.d_position, (t) => position[t]!),
      d_token_type: scatter(rows.d_token_type, (t) => (types ? types.data[t]! : 0)),
    }
  }
}
