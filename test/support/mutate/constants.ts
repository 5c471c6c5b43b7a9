import { DataType, type OnnxNode, type OnnxTensor } from '../../../lib/onnx/schema.js'
import { plainTensor, tensorNumbers, tensorShape } from '../../../lib/onnx/tensor.js'
import { onnxNode, type Attributes } from '../onnx_models.js'
import type { Draft, Mutation } from './draft.js'

/** Initializers as Constant nodes and back, numbers in typed fields or raw bytes, small ones once for each reader. */
export const constants: Mutation = {
  name: 'constants',
  apply(draft) {
    const nodes = draft.some(draft.nodes('Constant').filter(valueOf))
    const tensors = draft.some(draft.graph.initializer)
    for (const node of nodes) {
      draft.remove(node)
      draft.graph.initializer.push({ ...rewrite(draft, valueOf(node)!), name: node.output[0]! })
    }
    for (const tensor of tensors) {
      draft.graph.initializer.splice(draft.graph.initializer.indexOf(tensor), 1)
      draft.graph.node.push(onnxNode('Constant', [], [tensor.name!], attributes(draft, tensor)))
    }
    return nodes.length + tensors.length + duplicate(draft)
  },
}

function valueOf(node: OnnxNode): OnnxTensor | undefined {
  return node.attribute.find(({ name }) => name === 'value')?.t
}

function attributes(draft: Draft, tensor: OnnxTensor): Attributes {
  const shape = tensorShape(tensor)
  const numbers = shape.length < 2 && draft.opset >= 12 ? tensorNumbers(tensor) : []
  const isInteger = tensor.dataType === DataType.int64 && numbers.every(Number.isSafeInteger)
  if (isInteger && shape.length === 1 && numbers.length) return { value_ints: numbers }
  if (isInteger && shape.length === 0 && numbers.length) return { value_int: numbers[0]! }
  if (tensor.dataType === DataType.float && shape.length === 0 && numbers.length)
    return { value_float: { float: numbers[0]! } }
  return { value: rewrite(draft, tensor) }
}

/** The same numbers in the fields of their type. */
function rewrite(draft: Draft, tensor: OnnxTensor): OnnxTensor {
  if (draft.chance() || !tensor.rawData) return tensor
  if (tensor.dataType === DataType.float)
    return plainTensor(DataType.float, tensor.dims, { floatData: tensorNumbers(tensor) })
  if (tensor.dataType === DataType.int64 && tensorNumbers(tensor).every(Number.isSafeInteger))
    return plainTensor(DataType.int64, tensor.dims, { int64Data: tensorNumbers(tensor) })
  return tensor
}

/** A copy of small tensors for some of their readers. */
function duplicate(draft: Draft): number {
  const small = draft.edges().flatMap((edge) => {
    const tensor = draft.tensor(edge.name)
    const size = tensor && tensorShape(tensor).reduce((product, dim) => product * dim, 1)
    return tensor && size! <= 16 ? [{ ...edge, tensor }] : []
  })
  const chosen = draft.some(small, 0.3)
  for (const { node, slot, tensor } of chosen) node.input[slot] = draft.constant(tensor)
  return chosen.length
}
