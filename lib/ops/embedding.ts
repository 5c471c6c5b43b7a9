import type { Value } from '../ir/graph.js'
import { defineOp } from './define.js'
import { match, touched, wanted } from './shapes.js'

/**
 * Sum of the tables' rows (Devlin et al. 2019, figure 2):
 * y[T,C] = word[ids] + position[t - cu[b] + position_offset] + token_type[types].
 * `types` absent: row 0. RoBERTa counts positions from 2 (`position_offset`).
 */
export const embedding = defineOp({
  name: 'embedding',
  code: 1,
  outputs: { y: { stored: 'narrow' } },
  inputs: {
    ids: { dtype: 'i32' },
    types: { dtype: 'i32', optional: true },
    cu: { dtype: 'i32' },
    word: { stored: 'narrow' },
    position: { optional: true, stored: 'narrow' },
    token_type: { optional: true, stored: 'narrow' },
  },
  attributes: { position_offset: 'i32' },
  shape(shapes) {
    const dim = match('embedding', shapes, {
      ids: 'T',
      types: 'T',
      cu: 'B+1',
      word: 'V C',
      position: 'P C',
      token_type: 'S C',
    })
    return { y: ['T', dim('C')] }
  },
  vjp({ node, dy, needs, emit }) {
    const want = wanted({ d_word: needs.word, d_position: needs.position, d_token_type: needs.token_type })
    const { ids, types, cu } = node.inputs
    const made = emit(embeddingBackward, { dy, ids, types, cu }, node.attributes, want)
    const gradients: Record<string, Value> = {}
    if (made.d_word) gradients.word = made.d_word
    if (made.d_position) gradients.position = made.d_position
    if (made.d_token_type) gradients.token_type = made.d_token_type
    return gradients
  },
  cost(_, { y = [] }) {
    // A gather reads as many rows as it writes, not whole tables.
    return { flops: 2 * (y[0] ?? 0) * (y[1] ?? 0), bytes: 4 * touched({ y }) }
  },
})

/**
 * Dense gradients of the tables; rows of tokens that are not in the batch are 0. Tokens are added in a fixed order, so
 * the result does not depend on threads.
 */
export const embeddingBackward = defineOp({
  name: 'embedding_backward',
  code: 2,
  outputs: { d_word: { optional: true }, d_position: { optional: true }, d_token_type: { optional: true } },
  inputs: {
    dy: { stored: 'narrow' },
    ids: { dtype: 'i32' },
    types: { dtype: 'i32', optional: true },
    cu: { dtype: 'i32' },
  },
  attributes: { position_offset: 'i32' },
  shape(shapes) {
    const dim = match('embedding_backward', shapes, { dy: 'T C', ids: 'T', types: 'T', cu: 'B+1' })
    // How many rows a table has only its parameter knows; autodiff gives the outputs the parameter's shape.
    const table = [0, dim('C')]
    return { d_word: table, d_position: table, d_token_type: table }
  },
  cost: (inputs, outputs) => ({ flops: (3 * touched({ dy: inputs.dy ?? [] })) / 4, bytes: touched(inputs, outputs) }),
})
