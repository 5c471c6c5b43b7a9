import { DataType, type OnnxNode } from '../../../lib/onnx/schema.js'
import type { Draft, Mutation } from './draft.js'

/** Division as multiplication and back, subtraction as a sum, roots and squares as powers. */
export const arithmetic: Mutation = {
  name: 'arithmetic',
  apply(draft) {
    const facts = draft.facts()
    const isFloat = ({ output }: OnnxNode) => facts(output[0]!).type === DataType.float
    const places = draft.nodes('Div', 'Mul', 'Sub', 'Sqrt', 'Pow').filter(isFloat)
    return draft.some(places).filter((node) => rewrite(draft, node)).length
  },
}

function rewrite(draft: Draft, node: OnnxNode): boolean {
  const [a, b] = node.input as [string, string]
  const number = draft.scalar(b)
  switch (node.opType) {
    case 'Div':
      if (number) draft.add('Mul', [a, draft.floats([], [1 / number])], {}, draft.takeOver(node))
      else if (draft.chance()) draft.add('Mul', [a, draft.add('Reciprocal', [b])], {}, draft.takeOver(node))
      else draft.add('Mul', [draft.add('Div', [draft.floats([], [1]), b]), a], {}, draft.takeOver(node))
      return true
    case 'Mul':
      // Not where the reciprocal leaves the range of normal numbers, as that of a mask does.
      if (!number || Math.abs(number) > 1e6) return false
      draft.add('Div', [a, draft.floats([1], [1 / number])], {}, draft.takeOver(node))
      return true
    case 'Sub':
      draft.add('Add', [a, draft.add('Neg', [b])], {}, draft.takeOver(node))
      return true
    case 'Sqrt':
      draft.add('Pow', [a, draft.floats([], [0.5])], {}, draft.takeOver(node))
      return true
    default:
      if (number !== 2) return false
      draft.add('Mul', [a, a], {}, draft.takeOver(node))
      return true
  }
}
