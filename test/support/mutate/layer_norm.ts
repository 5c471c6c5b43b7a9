import { DataType, type OnnxNode } from '../../../lib/onnx/schema.js'
import type { Draft, Mutation } from './draft.js'

interface Norm {
  readonly x: string
  readonly gamma: string
  readonly beta: string
  readonly epsilon: number
  /** Whose result is replaced. */
  readonly last: OnnxNode
}

/** LayerNorms decomposed, spelt in other ways, or one operator again. */
export const layerNorm: Mutation = {
  name: 'layer norm',
  apply(draft) {
    const chosen = draft.some([...operators(draft), ...formulas(draft)])
    for (const norm of chosen) {
      if (draft.opset >= 17 && draft.chance(0.3)) fuse(draft, norm)
      else spell(draft, norm)
    }
    return chosen.length
  },
}

function operators(draft: Draft): Norm[] {
  return draft.nodes('LayerNormalization').flatMap((last) => {
    const [x, gamma, beta] = last.input
    const attribute = (name: string) => last.attribute.find((item) => item.name === name)
    const axis = Number(attribute('axis')?.i ?? -1)
    if (!x || !gamma || !beta || axis !== -1 || draft.tensor(gamma)?.dataType !== DataType.float) return []
    return [{ x, gamma, beta, epsilon: attribute('epsilon')?.f ?? 1e-5, last }]
  })
}

/** The formula as PyTorch exports it: ((x - mean) / sqrt(var + epsilon)) * gamma + beta. */
function formulas(draft: Draft): Norm[] {
  return draft.nodes('Sqrt').flatMap((root) => {
    const sum = draft.maker(root.input[0])
    const epsilon = sum?.opType === 'Add' ? draft.scalar(sum.input[1]) : undefined
    const quotient = draft.onlyReader(root.output[0])
    const centred = draft.maker(quotient?.input[0])
    const product = draft.onlyReader(quotient?.output[0])
    const last = draft.onlyReader(product?.output[0])
    const gamma = product?.input.find((name) => draft.tensor(name))
    const beta = last?.input.find((name) => draft.tensor(name))
    const x = centred?.opType === 'Sub' ? centred.input[0] : undefined
    const fits = quotient?.opType === 'Div' && product?.opType === 'Mul' && last?.opType === 'Add'
    if (!fits || epsilon === undefined || !x || !gamma || !beta) return []
    return draft.tensor(gamma)!.dataType === DataType.float ? [{ x, gamma, beta, epsilon, last }] : []
  })
}

function fuse(draft: Draft, { x, gamma, beta, epsilon, last }: Norm): void {
  draft.add('LayerNormalization', [x, gamma, beta], { axis: -1, epsilon: { float: epsilon } }, draft.takeOver(last))
}

function spell(draft: Draft, { x, gamma, beta, epsilon, last }: Norm): void {
  const centre = () => {
    const m = mean(draft, x)
    return draft.chance(0.7) ? draft.add('Sub', [x, m]) : draft.add('Add', [draft.add('Neg', [m]), x])
  }
  const d = centre()
  const other = draft.chance(0.3) ? centre() : d
  const square = draft.chance() ? draft.add('Mul', [other, other]) : draft.add('Pow', [other, draft.floats([], [2])])
  const variance = mean(draft, square)
  const eps = draft.floats(draft.pick([[], [1]]), [epsilon])
  const sum = draft.add('Add', draft.chance() ? [variance, eps] : [eps, variance])
  const normal = normalised(draft, d, sum, gamma)
  draft.add('Add', draft.chance() ? [normal, beta] : [beta, normal], {}, draft.takeOver(last))
}

/** d / sqrt(sum) * gamma, the factors in one of several orders. */
function normalised(draft: Draft, d: string, sum: string, gamma: string): string {
  const root = draft.chance(0.7) ? draft.add('Sqrt', [sum]) : draft.add('Pow', [sum, draft.floats([], [0.5])])
  const times = (a: string, b: string) => draft.add('Mul', draft.chance() ? [a, b] : [b, a])
  switch (draft.pick(['divide', 'reciprocal', 'one over', 'power', 'gamma first', 'gamma over root'])) {
    case 'divide':
      return times(draft.add('Div', [d, root]), gamma)
    case 'reciprocal':
      return times(times(d, draft.add('Reciprocal', [root])), gamma)
    case 'one over':
      return times(times(d, draft.add('Div', [draft.floats([1], [1]), root])), gamma)
    case 'power':
      return times(times(d, draft.add('Pow', [sum, draft.floats([], [-0.5])])), gamma)
    case 'gamma first':
      return draft.add('Div', [times(d, gamma), root])
    default:
      return times(d, times(gamma, draft.add('Reciprocal', [root])))
  }
}

function mean(draft: Draft, x: string): string {
  if (draft.opset >= 18) return draft.add('ReduceMean', [x, draft.integers(-1)], { keepdims: 1 })
  return draft.add('ReduceMean', [x], { axes: [-1], keepdims: 1 })
}
