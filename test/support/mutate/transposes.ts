import { type OnnxNode } from '../../../lib/onnx/schema.js'
import type { Draft, Mutation } from './draft.js'

/** A Transpose as two in a row. */
export const transposes: Mutation = {
  name: 'transposes',
  apply(draft) {
    const places = draft.nodes('Transpose').filter((node) => permOf(node))
    const chosen = draft.some(places)
    for (const node of chosen) split(draft, node, permOf(node)!)
    return chosen.length
  },
}

function permOf(node: OnnxNode): number[] | undefined {
  return node.attribute.find(({ name }) => name === 'perm')?.ints.map(Number)
}

function split(draft: Draft, node: OnnxNode, perm: readonly number[]): void {
  const first = [...perm.keys()]
  for (let i = first.length - 1; i > 0; i--) {
    const j = Math.floor(draft.random() * (i + 1))
    ;[first[i], first[j]] = [first[j]!, first[i]!]
  }
  const second = perm.map((axis) => first.indexOf(axis))
  const between = draft.add('Transpose', [node.input[0]!], { perm: first })
  draft.add('Transpose', [between], { perm: second }, draft.takeOver(node))
}
