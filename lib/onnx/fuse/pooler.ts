import { scalarOf, shapeOf } from '../known.js'
import { type Quantity, intAttribute } from '../network.js'
import { type Linear, matchLinear } from './linear.js'
import { maker } from './pattern.js'

/** BERT's pooler, tanh(dense(first token)), among the readers of the encoder's output; the file may have none. */
export function matchPooler(
  candidates: readonly Quantity[],
  hidden: Quantity,
): (Linear & { readonly y: Quantity }) | undefined {
  for (const value of candidates) {
    const tanh = maker(value, 'Tanh')
    const linear = tanh?.inputs[0] && matchLinear(tanh.inputs[0])
    if (!linear?.bias) continue
    const [rows, columns] = linear.weight.shape
    if (rows === columns && isFirstToken(linear.x, hidden)) return { ...linear, y: value }
  }
  return undefined
}

/** hidden[:, 0], by Gather or by Slice (with the axis kept or dropped). */
function isFirstToken(value: Quantity, hidden: Quantity): boolean {
  let current: Quantity | undefined = value
  const view = maker(current, 'Squeeze', 'Reshape')
  if (view) current = view.inputs[0]
  const gather = maker(current, 'Gather')
  if (gather)
    return gather.inputs[0] === hidden && intAttribute(gather, 'axis', 0) === 1 && scalarOf(gather.inputs[1]) === 0
  const slice = maker(current, 'Slice')
  if (!slice || slice.inputs[0] !== hidden) return false
  return shapeOf(current)?.[1] === 1 && scalarOf(slice.inputs[1]) === 0
}
