import type { Mutation } from './draft.js'

/** Identity before some readings, of weights and shapes too. */
export const identity: Mutation = {
  name: 'identity',
  apply(draft) {
    const chosen = draft.some(draft.edges(), 0.2)
    for (const { node, slot, name } of chosen) node.input[slot] = draft.add('Identity', [name])
    return chosen.length
  },
}
