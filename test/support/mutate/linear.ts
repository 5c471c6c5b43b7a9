import type { OnnxNode, OnnxTensor } from '../../../lib/onnx/schema.js'
import { tensorShape } from '../../../lib/onnx/tensor.js'
import { type Draft, type Mutation, turnedTensor } from './draft.js'

/** A linear layer written as MatMul or Gemm, on rows or on [batch, sequence], its matrix stored either way round. */
export const linear: Mutation = {
  name: 'linear',
  apply(draft) {
    const facts = draft.facts()
    const products = draft.nodes('MatMul').filter((node) => matrix(draft, node.input[1]))
    const gemms = draft.nodes('Gemm').filter((node) => matrix(draft, node.input[1]) && node.input[2])
    for (const node of draft.some(products)) {
      const rank = facts(node.input[0]!).shape?.length
      draft.pick([toGemm, toRows, turnWeight])(draft, node, rank === undefined ? 3 : rank)
    }
    for (const node of draft.some(gemms)) fromGemm(draft, node)
    return products.length + gemms.length
  },
}

function matrix(draft: Draft, name: string | undefined): OnnxTensor | undefined {
  const tensor = draft.tensor(name)
  return tensor?.dims.length === 2 ? tensor : undefined
}

/** The sum of a product and a constant, where nobody else reads the product. */
export function biasOf(draft: Draft, product: OnnxNode): { sum: OnnxNode; bias: string } | undefined {
  const sum = draft.onlyReader(product.output[0])
  const bias = sum?.opType === 'Add' ? sum.input.find((name) => name !== product.output[0]) : undefined
  return sum && bias && draft.tensor(bias)?.dims.length === 1 ? { sum, bias } : undefined
}

function weightFor(draft: Draft, tensor: OnnxTensor, turned: boolean): string {
  return draft.constant(turned ? turnedTensor(tensor) : tensor)
}

/** Rows of the last axis, and the way back to all axes. */
function rows(
  draft: Draft,
  x: string,
  rank: number,
  width: number,
  columns: number,
): [string, (y: string) => string[]] {
  const flat = draft.add('Reshape', [x, draft.integers(-1, width)])
  const shape = draft.add('Shape', [x])
  const lead = draft.add('Slice', [shape, draft.integers(0), draft.integers(rank - 1)])
  const target = draft.add('Concat', [lead, draft.integers(columns)], { axis: 0 })
  return [flat, (y) => [y, target]]
}

function toGemm(draft: Draft, node: OnnxNode, rank: number): void {
  const tensor = matrix(draft, node.input[1])!
  const [width, columns] = tensorShape(tensor) as [number, number]
  const found = biasOf(draft, node)
  const [flat, back] = rows(draft, node.input[0]!, rank, width, columns)
  const transB = draft.chance() ? 1 : 0
  const inputs = [flat, weightFor(draft, tensor, transB === 1), ...(found ? [found.bias] : [])]
  const y = draft.add('Gemm', inputs, { transB })
  if (found) draft.remove(node)
  draft.add('Reshape', back(y), {}, draft.takeOver(found?.sum ?? node))
}

function toRows(draft: Draft, node: OnnxNode, rank: number): void {
  const [width, columns] = tensorShape(matrix(draft, node.input[1])!) as [number, number]
  const [flat, back] = rows(draft, node.input[0]!, rank, width, columns)
  const y = draft.add('MatMul', [flat, node.input[1]!])
  const found = draft.chance() ? biasOf(draft, node) : undefined
  if (found) draft.remove(node)
  const biased = found ? draft.add('Add', [found.bias, y]) : y
  draft.add('Reshape', back(biased), {}, draft.takeOver(found?.sum ?? node))
}

function turnWeight(draft: Draft, node: OnnxNode): void {
  const turned = weightFor(draft, matrix(draft, node.input[1])!, true)
  node.input[1] = draft.add('Transpose', [turned], draft.chance() ? { perm: [1, 0] } : {})
}

/** Only of Gemms in their plain form. */
function fromGemm(draft: Draft, node: OnnxNode): void {
  const attribute = (name: string) => node.attribute.find((item) => item.name === name)
  if (attribute('transA')?.i || (attribute('alpha')?.f ?? 1) !== 1 || (attribute('beta')?.f ?? 1) !== 1) return
  const tensor = matrix(draft, node.input[1])!
  const turned = Boolean(attribute('transB')?.i)
  const w =
    turned && draft.chance()
      ? draft.add('Transpose', [node.input[1]!], { perm: [1, 0] })
      : weightFor(draft, tensor, turned)
  const product = draft.add('MatMul', [node.input[0]!, w])
  draft.add('Add', [product, node.input[2]!], {}, draft.takeOver(node))
}
