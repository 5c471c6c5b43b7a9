import { DataType, type OnnxNode } from '../../../lib/onnx/schema.js'
import type { Draft, Mutation } from './draft.js'

/** (1 - mask) · lowest as another expression of the mask. */
export const mask: Mutation = {
  name: 'mask',
  apply(draft) {
    const found = draft.nodes('Mul').flatMap((product) => {
      const low = product.input.map((name) => draft.scalar(name)).find((number) => number! < -1000)
      const rest = draft.maker(product.input.find((name) => draft.scalar(name) === undefined))
      const fits = low !== undefined && rest?.opType === 'Sub' && draft.scalar(rest.input[0]) === 1
      return fits && draft.tensor(product.input.find((name) => draft.scalar(name) === low))?.dataType === DataType.float
        ? [{ product, low, kept: rest.input[1]! }]
        : []
    })
    for (const { product, low, kept } of found) rewrite(draft, product, low, kept)
    return found.length
  },
}

/** @param kept the mask as numbers, 1 and 0 */
function rewrite(draft: Draft, product: OnnxNode, low: number, kept: string): void {
  const number = (value: number) => draft.floats([], [value])
  const output = draft.takeOver(product)
  switch (draft.pick(['where', 'equal', 'minus one', 'less', 'not'])) {
    case 'where':
      draft.add('Where', [draft.add('Cast', [kept], { to: DataType.bool }), number(0), number(low)], {}, output)
      return
    case 'equal':
      draft.add('Where', [draft.add('Equal', [kept, number(0)]), number(low), number(0)], {}, output)
      return
    case 'minus one':
      draft.add('Mul', [draft.add('Sub', [kept, number(1)]), number(-low)], {}, output)
      return
    case 'less':
      draft.add('Where', [draft.add('Less', [kept, number(0.5)]), number(low), number(0)], {}, output)
      return
    default: {
      const gone = draft.add('Not', [draft.add('Cast', [kept], { to: DataType.bool })])
      draft.add('Mul', [draft.add('Cast', [gone], { to: DataType.float }), number(low)], {}, output)
    }
  }
}
