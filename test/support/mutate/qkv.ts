import type { OnnxNode } from '../../../lib/onnx/schema.js'
import { tensorNumbers, tensorShape } from '../../../lib/onnx/tensor.js'
import { type Draft, type Mutation, floatTensor } from './draft.js'
import { biasOf } from './linear.js'

/** Queries, keys and values by one matrix, cut by Split or Slice; their biases joined as well, or not. */
export const qkv: Mutation = {
  name: 'qkv',
  apply(draft) {
    const groups = draft.some(triples(draft))
    for (const group of groups) merge(draft, group)
    return groups.length
  },
}

/** Three products of one input with constant matrices of one shape. */
function triples(draft: Draft): OnnxNode[][] {
  const byInput = new Map<string, OnnxNode[]>()
  for (const node of draft.nodes('MatMul')) {
    const tensor = draft.tensor(node.input[1])
    if (tensor?.dims.length !== 2) continue
    const key = `${node.input[0]} ${tensorShape(tensor).join()}`
    byInput.set(key, [...(byInput.get(key) ?? []), node])
  }
  return [...byInput.values()].filter((nodes) => nodes.length === 3)
}

function merge(draft: Draft, group: readonly OnnxNode[]): void {
  const tensors = group.map((node) => draft.tensor(node.input[1])!)
  const [rows, columns] = tensorShape(tensors[0]!) as [number, number]
  const type = tensors[0]!.dataType!
  const numbers = tensors.map(tensorNumbers)
  const joined = Array.from({ length: rows * columns * 3 }, (_, i) => {
    const column = i % (3 * columns)
    return numbers[Math.floor(column / columns)]![Math.floor(i / (3 * columns)) * columns + (column % columns)]!
  })
  let y = draft.add('MatMul', [group[0]!.input[0]!, draft.constant(floatTensor([rows, 3 * columns], joined, type))])
  const sums = group.map((node) => biasOf(draft, node))
  const withBias = sums.every(Boolean) && draft.chance()
  if (withBias) {
    const bias = sums.flatMap((found) => tensorNumbers(draft.tensor(found!.bias)!))
    const name = draft.constant(floatTensor([3 * columns], bias, type))
    y = draft.add('Add', draft.chance() ? [y, name] : [name, y])
  }
  const parts = cut(draft, y, columns)
  group.forEach((node, i) => {
    if (withBias) draft.remove(node)
    const output = draft.takeOver(withBias ? sums[i]!.sum : node)
    draft.add('Identity', [parts[i]!], {}, output)
  })
}

function cut(draft: Draft, y: string, columns: number): string[] {
  if (draft.chance())
    return [0, 1, 2].map((i) =>
      draft.add('Slice', [y, draft.integers(i * columns), draft.integers((i + 1) * columns), draft.integers(-1)]),
    )
  const sizes = [columns, columns, columns]
  if (draft.opset < 13) return draft.addMany('Split', [y], 3, { axis: -1, split: sizes })
  if (draft.opset >= 18 && draft.chance()) return draft.addMany('Split', [y], 3, { axis: -1, num_outputs: 3 })
  return draft.addMany('Split', [y, draft.integers(...sizes)], 3, { axis: -1 })
}
