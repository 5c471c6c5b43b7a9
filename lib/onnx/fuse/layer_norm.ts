import { scalarOf, shapeOf } from '../known.js'
import { type Operator, type Quantity, floatAttribute, intAttribute, intsAttribute } from '../network.js'
import { numbersOf } from '../known.js'
import { maker, operandOrders, withScalar } from './pattern.js'
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
  /** The normalised values times gamma, where the formula is spelt out. */
  readonly product?: Quantity
}

/** The LayerNormalization operator, or the formula spelt out in basic operators. */
export function matchLayerNorm(value: Quantity): LayerNorm | undefined {
  const operator = maker(value, 'LayerNormalization')
  if (operator) return fromOperator(operator, value)
  for (const [product, shift] of operandOrders(maker(value, 'Add'))) {
    const beta = matchVector(shift)
    if (!beta) continue
    for (const [normal, scale] of operandOrders(maker(product, 'Mul'))) {
      const gamma = matchVector(scale)
      const norm = gamma && matchNormalised(normal)
      if (norm && gamma.shape[0] === beta.shape[0])
        return { ...norm, gamma, beta, place: { y: value, scale, shift, product } }
    }
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

/** (x - mean(x)) / sqrt(mean((x - mean(x))²) + epsilon). */
function matchNormalised(value: Quantity): { x: Quantity; epsilon: number } | undefined {
  const quotient = maker(value, 'Div')
  if (quotient) return fromParts(quotient.inputs[0]!, matchRoot(quotient.inputs[1]))
  for (const [centred, inverse] of operandOrders(maker(value, 'Mul'))) {
    const found = fromParts(centred, matchInverseRoot(inverse))
    if (found) return found
  }
  return undefined
}

function fromParts(centred: Quantity, radicand: Quantity | undefined): { x: Quantity; epsilon: number } | undefined {
  const sum = withScalar(maker(radicand, 'Add'))
  const difference = maker(centred, 'Sub')
  const [x, mean] = difference?.inputs ?? []
  if (!sum || !x || !mean || meanOf(mean) !== x) return undefined
  const square = meanOf(sum.x)
  return square && isSquareOf(square, centred) ? { x, epsilon: sum.scalar } : undefined
}

function matchRoot(value: Quantity | undefined): Quantity | undefined {
  const power = maker(value, 'Pow')
  if (power && scalarOf(power.inputs[1]) === 0.5) return power.inputs[0]
  return maker(value, 'Sqrt')?.inputs[0]
}

function matchInverseRoot(value: Quantity): Quantity | undefined {
  const reciprocal = maker(value, 'Reciprocal')
  if (reciprocal) return matchRoot(reciprocal.inputs[0])
  const quotient = maker(value, 'Div')
  if (quotient && scalarOf(quotient.inputs[0]) === 1) return matchRoot(quotient.inputs[1])
  const power = maker(value, 'Pow')
  return power && scalarOf(power.inputs[1]) === -0.5 ? power.inputs[0] : undefined
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

function isSquareOf(value: Quantity, x: Quantity): boolean {
  const power = maker(value, 'Pow')
  if (power) return power.inputs[0] === x && scalarOf(power.inputs[1]) === 2
  const product = maker(value, 'Mul')
  return product !== undefined && product.inputs[0] === x && product.inputs[1] === x
}
