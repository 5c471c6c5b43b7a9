import type { Mutation } from './draft.js'

/** The operands of sums and products the other way round. */
export const commute: Mutation = {
  name: 'commute',
  apply(draft) {
    const chosen = draft.some(draft.nodes('Add', 'Mul', 'And', 'Or', 'Equal'))
    for (const node of chosen) node.input.reverse()
    return chosen.length
  },
}
