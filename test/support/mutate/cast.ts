import { DataType } from '../../../lib/onnx/schema.js'
import type { Mutation } from './draft.js'

/** Cast to the type that a value has, or to a wider one and back. */
export const cast: Mutation = {
  name: 'cast',
  apply(draft) {
    // The importer takes both widths for one, and spells fused operators out: there it does not know the true types.
    const { node, initializer } = draft.graph
    const half = [DataType.float16, DataType.bfloat16] as number[]
    if (node.some(({ domain }) => domain === 'com.microsoft') || initializer.some((x) => half.includes(x.dataType!)))
      return 0
    if (draft.nodes('Cast').some((cast) => half.includes(Number(cast.attribute[0]?.i)))) return 0
    const facts = draft.facts()
    const wider: Record<number, number> = { [DataType.float]: DataType.double, [DataType.int32]: DataType.int64 }
    const known = draft.edges().filter(({ name }) => facts(name).type !== undefined)
    const chosen = draft.some(known, 0.15)
    for (const { node, slot, name } of chosen) {
      const to = facts(name).type!
      const wide = wider[to]
      const through = wide && draft.chance(0.3) ? draft.add('Cast', [name], { to: wide }) : name
      node.input[slot] = draft.add('Cast', [through], { to })
    }
    return chosen.length
  },
}
