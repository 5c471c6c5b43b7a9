import { numbersOf, shapeOf } from '../known.js'
import { type Operator, type Quantity, floatAttribute, intAttribute, intsAttribute } from '../network.js'
import { difference, maker, operandOrders, powers, withScalar } from './pattern.js'
import { type Weight, matchVector } from './weight.js'

/** LayerNorm over the last axis, Ba et al. 2016: (x - mean) / sqrt(variance + epsilon) · gamma + beta. */
export interface LayerNorm {
  readonly x: Quantity
  readonly gamma: Weight
  readonly beta: Weight
  readonly epsilon: number
  /** Where it is in the graph. */
  readonly place: LayerNormPlace
}

export interface LayerNormPlace {
  readonly y: Quantity
  /** The operands that gamma and beta are. */
  readonly scale: Quantity
  readonly shift: Quantity
  /** What beta is added to, where the formula is spelt out. */
  readonly product?: Quantity
}

/** The LayerNormalization operator, or the formula spelt out in basic operators. */
export function matchLayerNorm(value: Quantity): LayerNorm | undefined {
  const operator = maker(value, 'LayerNormalization')
  if (operator) return fromOperator(operator, value)
  for (const [product, shift] of operandOrders(maker(value, 'Add'))) {
    const beta = matchVector(shift)
    const norm = beta && matchScaled(product)
    if (!norm || norm.gamma.shape[0] !== beta.shape[0]) continue
    const { scale, ...rest } = norm
    return { ...rest, beta, place: { y: value, scale, shift, product } }
  }
  return undefined
}

function fromOperator(operator: Operator, y: Quantity): LayerNorm | undefined {
  const [x, scale, shift] = operator.inputs
  const gamma = matchVector(scale)
  const beta = matchVector(shift)
  const axis = intAttribute(operator, 'axis', -1)
  const rank = shapeOf(x)?.length
  if (!x || !scale || !shift || !gamma || !beta || (axis !== -1 && axis + 1 !== rank)) return undefined
  return { x, gamma, beta, epsilon: floatAttribute(operator, 'epsilon', 1e-5), place: { y, scale, shift } }
}

/** (x - mean(x)) · gamma · (mean((x - mean(x))²) + epsilon)^(-1/2), its factors in any order. */
function matchScaled(value: Quantity): (Omit<LayerNorm, 'beta' | 'place'> & { readonly scale: Quantity }) | undefined {
  const { constant, powers: factors } = powers(value)
  const plain = factors.filter(({ exponent }) => exponent === 1).map((factor) => factor.value)
  const root = factors.find(({ exponent }) => exponent === -0.5)
  if (constant !== 1 || factors.length !== 3 || plain.length !== 2 || !root) return undefined
  const sum = withScalar(maker(root.value, 'Add'))
  const square = sum && meanOf(sum.x)
  if (!square) return undefined
  for (const [centred, scale] of [plain, [...plain].reverse()] as [Quantity, Quantity][]) {
    const gamma = matchVector(scale)
    const x = gamma && centredOf(centred)
    if (x && isSquareOfCentred(square, x)) return { x, gamma, epsilon: sum.scalar, scale }
  }
  return undefined
}

/** x where the value is x - mean(x). */
function centredOf(value: Quantity): Quantity | undefined {
  const parts = difference(value)
  return parts && meanOf(parts.b) === parts.a ? parts.a : undefined
}

/** The difference may be computed a second time for the variance. */
function isSquareOfCentred(value: Quantity, x: Quantity): boolean {
  const { constant, powers: factors } = powers(value)
  const total = factors.reduce((sum, { exponent }) => sum + exponent, 0)
  return constant === 1 && total === 2 && factors.every((factor) => centredOf(factor.value) === x)
}

/** What a ReduceMean over the last axis averages. */
function meanOf(value: Quantity): Quantity | undefined {
  const operator = maker(value, 'ReduceMean')
  const [x] = operator?.inputs ?? []
  if (!operator || !x || intAttribute(operator, 'keepdims', 1) !== 1) return undefined
  const axes = intsAttribute(operator, 'axes') ?? numbersOf(operator.inputs[1])
  const rank = shapeOf(x)?.length
  return axes?.length === 1 && (axes[0] === -1 || axes[0]! + 1 === rank) ? x : undefined
}
