import { DataType } from '../../../lib/onnx/schema.js'
import type { Mutation } from './draft.js'

/** Outputs, nodes and tensors that the encoder does not need. */
export const unused: Mutation = {
  name: 'unused',
  apply(draft) {
    const facts = draft.facts()
    const float = draft.graph.node
      .flatMap(({ output }) => output)
      .filter((name) => name && facts(name).type === DataType.float && !draft.tensor(name) && !draft.isOutput(name))
    const shown = draft.some(float, 0.05)
    for (const name of shown) draft.graph.output.push({ name, type: { tensorType: { elemType: DataType.float } } })
    for (const name of draft.some(float, 0.1))
      draft.add(draft.pick(['Relu', 'Tanh', 'Neg', 'Shape', 'Identity']), [name])
    for (let i = 0; i < 3; i++) draft.floats([4, 4], Array.from({ length: 16 }, draft.random))
    return shown.length + 3
  },
}
