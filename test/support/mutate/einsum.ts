import type { Draft, Mutation } from './draft.js'

/** Products as Einsum: of tokens with a matrix, of queries with keys, of probabilities with values. */
export const einsum: Mutation = {
  name: 'einsum',
  apply(draft) {
    if (draft.opset < 12) return 0
    const facts = draft.facts()
    const ranked = draft.nodes('MatMul').flatMap((node) => {
      const ranks = node.input.map((name) => facts(name).shape?.length).join()
      const equation = equations[ranks as keyof typeof equations]
      return equation ? [{ node, equation: draft.pick(equation) }] : []
    })
    const chosen = draft.some(ranked)
    for (const { node, equation } of chosen) write(draft, node.input, equation, draft.takeOver(node))
    return chosen.length
  },
}

const equations = {
  '3,2': ['bsi,io->bso', 'b s i, i o -> b s o', 'abc,cd->abd', 'bsi,oi->bso'],
  '4,4': ['bhqd,bhdk->bhqk', 'bhqd,bhkd->bhqk', 'abcd,abde->abce'],
} as const

/** The second operand is turned first where the equation asks for it the other way round. */
function write(draft: Draft, input: readonly string[], equation: string, output: string): void {
  const [a, b] = input as [string, string]
  const turned = equation === 'bsi,oi->bso' || equation === 'bhqd,bhkd->bhqk'
  const perm = equation.startsWith('bs') ? [1, 0] : [0, 1, 3, 2]
  const second = turned ? draft.add('Transpose', [b], { perm }) : b
  draft.add('Einsum', [a, second], { equation }, output)
}
