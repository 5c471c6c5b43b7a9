import type { Mutation } from './draft.js'

/** (a + b) + c as a + (b + c) or b + (a + c): a bias that is added behind the residual, tables summed in another order. */
export const regroup: Mutation = {
  name: 'regroup',
  apply(draft) {
    const inner = draft.nodes('Add').filter(({ output }) => draft.onlyReader(output[0])?.opType === 'Add')
    let count = 0
    for (const node of draft.some(inner)) {
      // An earlier regrouping may have used this one up.
      const outer = draft.graph.node.includes(node) ? draft.onlyReader(node.output[0]) : undefined
      if (outer?.opType !== 'Add') continue
      const third = outer.input.find((name) => name !== node.output[0])
      if (!third) continue
      const [first, second] = draft.chance() ? node.input : [...node.input].reverse()
      draft.remove(node)
      const pair = draft.add('Add', [second!, third])
      draft.add('Add', draft.chance() ? [first!, pair] : [pair, first!], {}, draft.takeOver(outer))
      count++
    }
    return count
  },
}
