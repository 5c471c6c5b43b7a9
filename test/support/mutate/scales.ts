import type { OnnxNode } from '../../../lib/onnx/schema.js'
import type { Draft, Mutation } from './draft.js'

/** The scale of the scores elsewhere: on queries, keys, scores, in parts. */
export const scales: Mutation = {
  name: 'scales',
  apply(draft) {
    const places = scoreProducts(draft)
    const chosen = draft.some(places)
    for (const node of chosen) move(draft, node)
    return chosen.length
  },
}

/** The products of queries and keys: those that a Softmax reads, behind sums, scales and choices. */
export function scoreProducts(draft: Draft): OnnxNode[] {
  const found = new Set<OnnxNode>()
  const search = (name: string | undefined, steps: number): void => {
    const node = draft.maker(name)
    if (!node || steps > 8) return
    if (node.opType === 'MatMul') found.add(node)
    else if (['Add', 'Mul', 'Div', 'Where', 'Identity', 'Cast'].includes(node.opType!))
      for (const input of node.input) search(input, steps + 1)
  }
  for (const softmax of draft.nodes('Softmax')) search(softmax.input[0], 0)
  return [...found].filter((node) => !draft.tensor(node.input[1]))
}

function move(draft: Draft, node: OnnxNode): void {
  const type = elementType(draft)
  const times = (x: string, factor: number) =>
    draft.chance()
      ? draft.add('Mul', [x, draft.floats(draft.pick([[], [1], [1, 1]]), [factor], type)])
      : draft.add('Div', [x, draft.floats([], [1 / factor], type)])
  const divided = draft.onlyReader(node.output[0])
  const divisor = divided?.opType === 'Div' ? draft.scalar(divided.input[1]) : undefined
  if (divided && divisor && draft.chance()) {
    // The scale itself: before the product instead of behind it.
    const slot = draft.pick([0, 1])
    node.input[slot] = times(node.input[slot]!, 1 / divisor)
    draft.remove(divided)
    node.output[0] = divided.output[0]!
    return
  }
  // A power of two there and back is exact.
  const [a, b] = [draft.pick([2, 4, 0.5]), draft.pick([2, 8, 0.25])]
  node.input[0] = times(node.input[0]!, a)
  node.input[1] = times(node.input[1]!, b)
  const raw = draft.fresh()
  const name = node.output[0]!
  node.output[0] = raw
  const [one, two] = [times(raw, 1 / a), draft.floats([1], [1 / b], type)]
  draft.add('Mul', [two, one], {}, name)
}

function elementType(draft: Draft): number {
  return draft.graph.initializer
    .concat(draft.nodes('Constant').flatMap((node) => draft.tensor(node.output[0]) ?? []))
    .reduce((largest, tensor) =>
      tensor.dims.length === 2 && size(tensor.dims) > size(largest.dims) ? tensor : largest,
    ).dataType!
}

function size(dims: readonly (number | bigint)[]): number {
  return dims.reduce<number>((product, dim) => product * Number(dim), 1)
}
