import type { Mutation } from './draft.js'

/** Another order in which the nodes can run; initializers in any. */
export const order: Mutation = {
  name: 'order',
  apply(draft) {
    draft.sort((ready) => draft.pick(ready))
    const { initializer } = draft.graph
    draft.graph.initializer = initializer
      .map((tensor) => ({ tensor, place: draft.random() }))
      .sort((a, b) => a.place - b.place)
      .map(({ tensor }) => tensor)
    return draft.graph.node.length
  },
}
