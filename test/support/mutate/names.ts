import type { Mutation } from './draft.js'

/** Other names for all nodes, weights and inner values. */
export const names: Mutation = {
  name: 'names',
  apply(draft) {
    const { graph } = draft
    const kept = new Set([...graph.input, ...graph.output].map(({ name }) => name!))
    const given = new Map<string, string>()
    const rename = (name: string) => {
      if (!name || kept.has(name)) return name
      if (!given.has(name)) given.set(name, draft.fresh())
      return given.get(name)!
    }
    for (const tensor of graph.initializer) tensor.name = rename(tensor.name!)
    for (const node of graph.node) {
      node.name = draft.chance() ? '' : draft.fresh()
      node.input = node.input.map(rename)
      node.output = node.output.map(rename)
    }
    return given.size
  },
}
