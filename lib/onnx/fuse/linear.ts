import { same } from '../dim.js'
import { numbersOf, shapeOf } from '../known.js'
import { type Operator, type Quantity, floatAttribute, intAttribute, intsAttribute } from '../network.js'
import { maker, operandOrders } from './pattern.js'
import { type Weight, matchMatrix, matchVector, rowsOf, turned } from './weight.js'

/** y = x · weightᵀ + bias on the last axis; weight is [out, in] whichever way the file stores it. */
export interface Linear {
  readonly x: Quantity
  readonly weight: Weight
  readonly bias?: Weight
}

/** Reshapes that leave the last axis alone only regroup rows: [B, S, C] and [B·S, C] are the same rows. */
export function skipRowViews(value: Quantity): Quantity {
  let current = value
  for (;;) {
    const view = maker(current, 'Reshape', 'Flatten', 'Unsqueeze', 'Squeeze')
    const source = view?.inputs[0]
    const [before, after] = [shapeOf(source)?.at(-1), shapeOf(current)?.at(-1)]
    if (!source || !same(before, after)) return current
    current = source
  }
}

/** A product with a constant matrix and the Add of a bias in either order, or Gemm; 3-D or on rows. */
export function matchLinear(value: Quantity): Linear | undefined {
  const y = skipRowViews(value)
  const product = matchProduct(y)
  if (product) return product
  for (const [sum, constant] of operandOrders(maker(y, 'Add'))) {
    const bias = matchVector(constant)
    const inner = bias && matchProduct(skipRowViews(sum))
    if (inner) return withBias(inner, bias)
  }
  return undefined
}

/** The linear layer with a bias added to it; undefined where that does not fit, or it has one. */
export function withBias(linear: Linear, bias: Weight): Linear | undefined {
  return !linear.bias && linear.weight.shape[0] === bias.shape[0] ? { ...linear, bias } : undefined
}

function matchProduct(y: Quantity): Linear | undefined {
  const operator = maker(y, 'Gemm', 'MatMul')
  if (operator) return operator.type === 'Gemm' ? fromGemm(operator) : fromMatMul(operator)
  return matchPart(y)
}

/** Some of the outputs of a larger linear layer: a Slice or Split of its last axis. */
function matchPart(y: Quantity): Linear | undefined {
  const operator = y.producer
  if (operator?.type !== 'Slice' && operator?.type !== 'Split') return undefined
  const [whole] = operator.inputs
  const linear = whole && matchLinear(whole)
  const range = linear && (operator.type === 'Slice' ? sliceRange(operator) : splitRange(operator, y))
  if (!range) return undefined
  const weight = rowsOf(linear.weight, range.start, range.end)
  const bias = linear.bias && rowsOf(linear.bias, range.start, range.end)
  if (!weight || (linear.bias && !bias)) return undefined
  return { x: linear.x, weight, ...(bias ? { bias } : {}) }
}

function sliceRange(operator: Operator): { start: number; end: number } | undefined {
  const list = (name: string, slot: number) => intsAttribute(operator, name) ?? numbersOf(operator.inputs[slot])
  const [starts, ends, axes, steps] = [list('starts', 1), list('ends', 2), list('axes', 3), list('steps', 4)]
  const rank = shapeOf(operator.inputs[0])?.length
  const size = shapeOf(operator.inputs[0])?.at(-1)
  const last = axes?.length === 1 && (axes[0] === -1 || axes[0]! + 1 === rank)
  if (!last || starts?.length !== 1 || ends?.length !== 1 || (steps && steps[0] !== 1) || typeof size !== 'number')
    return undefined
  const place = (at: number) => Math.min(at < 0 ? at + size : at, size)
  return { start: place(starts[0]!), end: place(ends[0]!) }
}

function splitRange(operator: Operator, y: Quantity): { start: number; end: number } | undefined {
  const axis = intAttribute(operator, 'axis', 0)
  const rank = shapeOf(operator.inputs[0])?.length
  if (axis !== -1 && axis + 1 !== rank) return undefined
  let start = 0
  for (const output of operator.outputs) {
    const size = shapeOf(output)?.at(-1)
    if (typeof size !== 'number') return undefined
    if (output === y) return { start, end: start + size }
    start += size
  }
  return undefined
}

function fromMatMul(operator: Operator): Linear | undefined {
  const [x] = operator.inputs
  const stored = matchMatrix(operator.inputs[1])
  return x && stored && { x: skipRowViews(x), weight: turned(stored) }
}

function fromGemm(operator: Operator): Linear | undefined {
  const [x, w, c] = operator.inputs
  const stored = matchMatrix(w)
  const plain = floatAttribute(operator, 'alpha', 1) === 1 && intAttribute(operator, 'transA', 0) === 0
  if (!x || !stored || !plain) return undefined
  const weight = intAttribute(operator, 'transB', 0) ? stored : turned(stored)
  if (!c) return { x: skipRowViews(x), weight }
  const bias = matchVector(c)
  if (!bias || bias.shape[0] !== weight.shape[0] || floatAttribute(operator, 'beta', 1) !== 1) return undefined
  return { x: skipRowViews(x), weight, bias }
}
