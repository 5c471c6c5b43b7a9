import { DataType } from '../../../lib/onnx/schema.js'
import type { Draft, Mutation } from './draft.js'

/** An axis put in and taken out again, rows flattened and restored: views that end where they began. */
export const views: Mutation = {
  name: 'views',
  apply(draft) {
    const facts = draft.facts()
    const places = draft.edges().filter(({ node, name }) => {
      const { shape, type } = facts(name)
      const known = shape && shape.length > 1 && type === DataType.float && !draft.tensor(name)
      return known && ['Add', 'MatMul', 'LayerNormalization', 'Erf', 'Softmax', 'Mul', 'Gelu'].includes(node.opType!)
    })
    const chosen = draft.some(places, 0.15)
    for (const { node, slot, name } of chosen) node.input[slot] = thereAndBack(draft, name, facts(name).shape!.length)
    return chosen.length
  },
}

function thereAndBack(draft: Draft, name: string, rank: number): string {
  if (draft.chance()) {
    const axis = draft.pick([0, 1, rank])
    return axes(draft, 'Squeeze', axes(draft, 'Unsqueeze', name, axis), axis)
  }
  const shape = draft.add('Shape', [name])
  const flat = draft.add('Flatten', [name], { axis: rank - 1 })
  return draft.add('Reshape', [flat, shape])
}

/** Squeeze or Unsqueeze: axes are an input since opset 13. */
export function axes(draft: Draft, type: 'Squeeze' | 'Unsqueeze', x: string, axis: number): string {
  return draft.opset >= 13 ? draft.add(type, [x, draft.integers(axis)]) : draft.add(type, [x], { axes: [axis] })
}
