import type { OnnxNode } from '../../../lib/onnx/schema.js'
import type { Draft, Mutation } from './draft.js'

/** A later version of the operators, where that changes the form of nodes alone. */
export const opset: Mutation = {
  name: 'opset',
  apply(draft) {
    const from = draft.opset
    const later = [13, 15, 17, 18, 20, 21].filter((version) => version > from)
    if (!later.length) return 0
    const to = draft.pick(later)
    for (const node of [...draft.graph.node, ...draft.model.functions.flatMap((definition) => definition.node)])
      if (!draft.model.functions.length) raise(draft, node, from, to)
    // Bodies of functions have no initializers to take axes from: such files stay as they are.
    if (draft.model.functions.length) return 0
    draft.model.opsetImport.find(({ domain }) => !domain || domain === 'ai.onnx')!.version = to
    draft.model.irVersion = Math.max(10, Number(draft.model.irVersion ?? 8))
    return 1
  },
}

/** Attributes that became inputs. */
const moved: readonly { type: string; since: number; attribute: string }[] = [
  { type: 'Squeeze', since: 13, attribute: 'axes' },
  { type: 'Unsqueeze', since: 13, attribute: 'axes' },
  { type: 'ReduceSum', since: 13, attribute: 'axes' },
  { type: 'Split', since: 13, attribute: 'split' },
  { type: 'ReduceMean', since: 18, attribute: 'axes' },
  { type: 'ReduceL2', since: 18, attribute: 'axes' },
  { type: 'ReduceMax', since: 18, attribute: 'axes' },
  { type: 'ReduceProd', since: 18, attribute: 'axes' },
]

function raise(draft: Draft, node: OnnxNode, from: number, to: number): void {
  if (node.domain) return
  for (const { type, since, attribute } of moved) {
    const value = node.attribute.find(({ name }) => name === attribute)
    if (node.opType !== type || from >= since || to < since || !value) continue
    node.attribute = node.attribute.filter((item) => item !== value)
    node.input.push(draft.integers(...value.ints.map(Number)))
  }
  if (node.opType === 'Dropout' && from < 12) node.attribute = []
  const split = node.opType === 'Split' && from < 18 && to >= 18 && node.input.length < 2
  if (split)
    node.attribute.push({ floats: [], ints: [], strings: [], name: 'num_outputs', i: node.output.length, type: 2 })
}
