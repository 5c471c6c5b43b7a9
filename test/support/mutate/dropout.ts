import { DataType } from '../../../lib/onnx/schema.js'
import { plainTensor } from '../../../lib/onnx/tensor.js'
import { onnxNode } from '../onnx_models.js'
import type { Draft, Mutation } from './draft.js'

/** Dropout as it stands in files for inference: off. */
export const dropout: Mutation = {
  name: 'dropout',
  apply(draft) {
    const facts = draft.facts()
    const isFloat = (name: string) => [DataType.float, DataType.float16].includes(facts(name).type as 1 | 10)
    const places = draft.edges().filter(({ name }) => isFloat(name) && !draft.tensor(name))
    const chosen = draft.some(places, 0.15)
    for (const { node, slot, name } of chosen) node.input[slot] = dropped(draft, name)
    return chosen.length
  },
}

function dropped(draft: Draft, name: string): string {
  const y = draft.fresh()
  const outputs = draft.chance() ? [y, draft.fresh()] : [y]
  if (draft.opset < 12) {
    draft.graph.node.push(onnxNode('Dropout', [name], outputs, { ratio: { float: 0.1 } }))
    return y
  }
  const ratio = draft.floats([], [0.1])
  const off = draft.constant(plainTensor(DataType.bool, [], { rawData: Uint8Array.of(0) }))
  const inputs = draft.pick([[name], [name, ratio], [name, ratio, off], [name, '', off]])
  draft.graph.node.push(onnxNode('Dropout', inputs, outputs))
  return y
}
