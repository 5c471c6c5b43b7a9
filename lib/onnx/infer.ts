import { type MaybeDim, add, divide, negate, product, sameShape } from './dim.js'
import {
  type Facts,
  binaryTypes,
  broadcastShapes,
  comparisonTypes,
  inferBinary,
  inferUnary,
  inferWhere,
  unaryFunction,
  unaryTypes,
} from './elementwise.js'
import { ownDomain } from './expand.js'
import { type Field, countMask, cumulate, maskBias, moveAxes, uniform } from './field.js'
import { contentOf, fieldOf, isInteger, numbersOf, shapeOf } from './known.js'
import { type Operator, type Quantity, floatAttribute, intAttribute, intsAttribute } from './network.js'
import { DataType } from './schema.js'
import { inferConcat, inferGather, inferSlice, inferSplit, normalAxis } from './select.js'
import { tensorNumbers } from './tensor.js'

/**
 * What can be said about the first output of an operator: element type, symbolic shape, the elements of small integer
 * tensors, and fields. Unknown operators say nothing, which is always right.
 */
export function infer(operator: Operator): Facts {
  const { type, inputs } = operator
  const [a, b] = inputs
  if (binaryTypes.has(type) && a && b && inputs.length === 2) {
    return { ...inferBinary(type, a, b), type: comparisonTypes.has(type) ? DataType.bool : (a.type ?? b.type) }
  }
  if (unaryTypes.has(type) && a)
    return { ...inferUnary(a, unaryFunction(type)), type: type === 'IsNaN' ? DataType.bool : a.type }
  if (sameShapeTypes.has(type) && a) return { shape: shapeOf(a), type: a.type }
  return rules[type]?.(operator) ?? {}
}

/** One input decides shape and element type; values are not followed. */
const sameShapeTypes = new Set([
  'Erf',
  'Tanh',
  'Sigmoid',
  'Relu',
  'Gelu',
  'Softmax',
  'LayerNormalization',
  'Dropout',
  'Trilu',
  'Clip',
  'Elu',
  'LeakyRelu',
  'Softplus',
  'Sin',
  'Cos',
  'Selu',
  'Celu',
  'Mish',
  'HardSigmoid',
  'HardSwish',
  'Softsign',
  'com.microsoft:QuickGelu',
])

const rules: Record<string, (operator: Operator) => Facts> = {
  Cast: (operator) => inferCast(operator.inputs[0]!, intAttribute(operator, 'to', 0)),
  CastLike: (operator) => inferCast(operator.inputs[0]!, operator.inputs[1]?.type ?? 0),
  Where: ({ inputs: [condition, yes, no] }) =>
    condition && yes && no ? { ...inferWhere(condition, yes, no), type: yes.type ?? no.type } : {},
  Shape: inferShape,
  Size: ({ inputs }) => ({ type: DataType.int64, shape: [], content: [product(shapeOf(inputs[0]) ?? [undefined])] }),
  Gather: inferGather,
  Slice: inferSlice,
  Concat: inferConcat,
  Split: (operator) => inferSplit(operator, 0),
  Unsqueeze: (operator) => {
    const shape = shapeOf(operator.inputs[0])
    const axes = axesOf(operator)
    if (!shape || !axes) return { type: operator.inputs[0]?.type }
    const rank = shape.length + axes.length
    const at = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)))
    const rest = [...shape]
    return reshaped(
      operator.inputs[0]!,
      Array.from({ length: rank }, (_, i) => (at.has(i) ? 1 : rest.shift())),
    )
  },
  Squeeze: (operator) => {
    const shape = shapeOf(operator.inputs[0])
    const axes = axesOf(operator)
    if (!shape) return { type: operator.inputs[0]?.type }
    const at = axes ? new Set(axes.map((axis) => (axis < 0 ? axis + shape.length : axis))) : undefined
    return reshaped(
      operator.inputs[0]!,
      shape.filter((dim, i) => (at ? !at.has(i) : dim !== 1)),
    )
  },
  Reshape: inferReshape,
  Flatten: (operator) => {
    const shape = shapeOf(operator.inputs[0])
    const axis = intAttribute(operator, 'axis', 1)
    if (!shape) return { type: operator.inputs[0]?.type }
    return reshaped(operator.inputs[0]!, [product(shape.slice(0, axis)), product(shape.slice(axis))])
  },
  Transpose: (operator) => {
    const [x] = operator.inputs
    const shape = shapeOf(x)
    if (!x || !shape) return { type: x?.type }
    const perm = intsAttribute(operator, 'perm') ?? shape.map((_, i) => shape.length - 1 - i)
    if (perm.length !== shape.length) return {}
    const field = fieldOf(x)
    const to = (axis: number) => perm.indexOf(axis + shape.length) - shape.length
    return { type: x.type, shape: perm.map((axis) => shape[axis]), field: field && moveAxes(field, to) }
  },
  Expand: ({ inputs: [x, target] }) => {
    const field = fieldOf(x)
    return { type: x?.type, shape: broadcastShapes([shapeOf(x), contentOf(target)]), field }
  },
  ConstantOfShape: (operator) => {
    const shape = contentOf(operator.inputs[0])
    const tensor = operator.attributes.get('value')?.t
    const value = tensor ? (tensorNumbers(tensor)[0] ?? 0) : 0
    const size = shape && product(shape)
    const content =
      typeof size === 'number' && size >= 0 && size <= 4096 ? new Array<number>(size).fill(value) : undefined
    return { type: tensor?.dataType ?? DataType.float, shape, content, field: uniform(value) }
  },
  Range: inferRange,
  MatMul: ({ inputs: [a, b] }) => {
    const [x, y] = [shapeOf(a), shapeOf(b)]
    if (!x || !y || x.length < 2 || y.length < 2) return { type: a?.type }
    const lead = broadcastShapes([x.slice(0, -2), y.slice(0, -2)])
    return { type: a?.type, shape: lead && [...lead, x.at(-2), y.at(-1)] }
  },
  Gemm: (operator) => {
    const [x, y] = [shapeOf(operator.inputs[0]), shapeOf(operator.inputs[1])]
    if (x?.length !== 2 || y?.length !== 2) return { type: operator.inputs[0]?.type }
    const rows = x[intAttribute(operator, 'transA', 0) ? 1 : 0]
    return { type: operator.inputs[0]?.type, shape: [rows, y[intAttribute(operator, 'transB', 0) ? 0 : 1]] }
  },
  ReduceMean: inferReduce,
  ReduceSum: (operator) => {
    const facts = inferReduce(operator)
    const field = fieldOf(operator.inputs[0])
    return { ...facts, field: field && facts.shape?.length === 1 ? countMask(field) : undefined }
  },
  ReduceMax: inferReduce,
  ReduceMin: inferReduce,
  ReduceProd: (operator) => {
    const content = contentOf(operator.inputs[0])
    const all = product(content ?? [undefined])
    const facts = inferReduce(operator)
    return facts.shape && facts.shape.every((dim) => dim === 1) ? { ...facts, content: [all] } : facts
  },
  [`${ownDomain}:MaskBias`]: (operator) => {
    const [mask] = operator.inputs
    const field = fieldOf(mask)
    const bias = field && maskBias(field, floatAttribute(operator, 'dropped', 0))
    const shape = shapeOf(mask)
    return { type: DataType.float, shape: shape && [shape[0], 1, 1, shape[1]], field: bias }
  },
  [`${ownDomain}:SwapLast`]: ({ inputs: [x] }) => {
    const shape = shapeOf(x)
    return { type: x?.type, shape: shape && [...shape.slice(0, -2), shape.at(-1), shape.at(-2)] }
  },
  CumSum: ({ inputs: [x, axis], attributes }) => {
    const shape = shapeOf(x)
    const field = fieldOf(x)
    const at = numbersOf(axis)?.[0]
    const plain = !Number(attributes.get('exclusive')?.i ?? 0) && !Number(attributes.get('reverse')?.i ?? 0)
    const fromEnd = at === undefined || !shape ? undefined : at < 0 ? at : at - shape.length
    return {
      type: x?.type,
      shape,
      field: field && plain && fromEnd !== undefined ? cumulate(field, fromEnd) : undefined,
    }
  },
}

function inferCast(x: Quantity, to: number): Facts {
  const field = fieldOf(x)
  if (field?.kind === 'input' && isInteger(to)) return { type: to, shape: shapeOf(x), field }
  const convert = (value: number) => {
    if (to === DataType.bool) return Number(value !== 0)
    return isInteger(to) ? Math.trunc(value) : value
  }
  // A named size is positive.
  return { ...inferUnary(x, convert, (dim) => (to === DataType.bool ? 1 : dim)), type: to }
}

function inferShape(operator: Operator): Facts {
  const shape = shapeOf(operator.inputs[0])
  const start = intAttribute(operator, 'start', 0)
  const end = operator.attributes.has('end') ? intAttribute(operator, 'end', 0) : undefined
  const content = shape?.slice(start, end)
  return { type: DataType.int64, content, shape: content ? [content.length] : [undefined] }
}

function axesOf(operator: Operator): number[] | undefined {
  return intsAttribute(operator, 'axes') ?? numbersOf(operator.inputs[1])
}

function inferReshape(operator: Operator): Facts {
  const [x, target] = operator.inputs
  const wanted = contentOf(target)
  if (!x || !wanted) return { type: x?.type }
  const shape = shapeOf(x)
  const keepZero = intAttribute(operator, 'allowzero', 0) === 1
  const result = wanted.map((dim, i) => (dim === 0 && !keepZero ? shape?.[i] : dim))
  const free = result.indexOf(-1)
  if (free >= 0) {
    const total = product(shape ?? [undefined])
    const rest = product(result.filter((_, i) => i !== free))
    result[free] = total === undefined || rest === undefined ? undefined : divide(total, rest)
  }
  return reshaped(x, result)
}

/** The same elements under another shape. A field survives where only axes of size 1 came or went. */
function reshaped(x: Quantity, shape: readonly MaybeDim[]): Facts {
  const before = shapeOf(x)
  const field = fieldOf(x)
  const facts: Facts = { type: x.type, shape, content: contentOf(x) }
  if (!field || !before) return facts
  const place = (dims: readonly MaybeDim[]) =>
    dims.map((dim, i) => ({ dim, axis: i - dims.length })).filter(({ dim }) => dim !== 1)
  const [from, to] = [place(before), place(shape)]
  const moves = sameShape(
    from.map(({ dim }) => dim),
    to.map(({ dim }) => dim),
  )
  if (field.kind === 'uniform') facts.field = field
  else if (moves) facts.field = moveAxes(field, (axis) => movedAxis(axis, before, shape, from, to))
  return facts
}

type Place = { readonly dim: MaybeDim; readonly axis: number }

/** Where an axis went. A batch fixed at 1 has no place of its own: it stays in front. */
function movedAxis(
  axis: number,
  before: readonly MaybeDim[],
  after: readonly MaybeDim[],
  from: readonly Place[],
  to: readonly Place[],
): number | undefined {
  if (before.at(axis) === 1) return after[0] === 1 ? -after.length : undefined
  return to[from.findIndex((item) => item.axis === axis)]?.axis
}

function inferRange(operator: Operator): Facts {
  const [start, limit, step] = operator.inputs.map((input) => contentOf(input)?.[0])
  const type = operator.inputs[0]?.type
  if (typeof start !== 'number' || typeof step !== 'number' || limit === undefined || step === 0)
    return { type, shape: [undefined] }
  const field: Field = { kind: 'iota', start, step, axis: -1 }
  if (typeof limit !== 'number') return { type, shape: [step === 1 ? add(limit, negate(start)) : undefined], field }
  const length = Math.max(Math.ceil((limit - start) / step), 0)
  const content = length <= 4096 ? Array.from({ length }, (_, i) => start + step * i) : undefined
  return { type, shape: [length], content, field }
}

function inferReduce(operator: Operator): Facts {
  const [x] = operator.inputs
  const shape = shapeOf(x)
  if (!shape) return { type: x?.type }
  const axes = axesOf(operator)
  const at = axes?.length ? new Set(axes.map((axis) => normalAxis(axis, shape.length))) : new Set(shape.keys())
  const keep = intAttribute(operator, 'keepdims', 1) === 1
  const reduced = shape.flatMap((dim, i): MaybeDim[] => (at.has(i) ? (keep ? [1] : []) : [dim]))
  return { type: x?.type, shape: reduced }
}
