import { type MaybeDim, add, divide, negate, same } from './dim.js'
import type { Facts } from './elementwise.js'
import { type Field, fieldAxes } from './field.js'
import { contentOf, fieldOf, numbersOf, shapeOf } from './known.js'
import { type Operator, intAttribute, intsAttribute } from './network.js'

/** Facts about the operators that pick parts of tensors or put them together: Gather, Slice, Concat, Split. */

export function inferGather(operator: Operator): Facts {
  const [data, index] = operator.inputs
  const [shape, indexShape] = [shapeOf(data), shapeOf(index)]
  if (!data || !index || !shape || !indexShape) return { type: data?.type }
  const axis = normalAxis(intAttribute(operator, 'axis', 0), shape.length)
  const result: Facts = { type: data.type, shape: [...shape.slice(0, axis), ...indexShape, ...shape.slice(axis + 1)] }
  const content = contentOf(data)
  const at = numbersOf(index)
  if (content && at && shape.length === 1) result.content = at.map((i) => content.at(i))
  const field = fieldOf(data)
  if (field?.kind === 'uniform') result.field = field
  return result
}

export function normalAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

/** Starts, ends, axes and steps: inputs since opset 10, attributes before. */
export function inferSlice(operator: Operator): Facts {
  const [x] = operator.inputs
  const shape = shapeOf(x)
  if (!x || !shape) return { type: x?.type }
  const list = (name: string, slot: number): readonly MaybeDim[] | undefined =>
    intsAttribute(operator, name) ?? contentOf(operator.inputs[slot])
  const starts = list('starts', 1)
  const ends = list('ends', 2)
  const axes = (list('axes', 3) ?? starts?.map((_, i) => i)) as number[] | undefined
  const steps = list('steps', 4) ?? starts?.map(() => 1)
  if (!starts || !ends || !axes || !steps || !axes.every((axis) => typeof axis === 'number')) return { type: x.type }
  const sliced: MaybeDim[] = [...shape]
  let content = contentOf(x)
  let field = fieldOf(x)
  axes.forEach((given, i) => {
    const axis = normalAxis(given, shape.length)
    const cut = steps[i] === 1 ? cutAxis(shape[axis], starts[i], ends[i]) : undefined
    sliced[axis] = cut?.length
    const [start, end, step] = [starts[i], ends[i], steps[i]]
    const numeric = typeof start === 'number' && typeof end === 'number' && step === 1
    content = shape.length === 1 && numeric ? content?.slice(start, end) : undefined
    if (content && shape.length === 1) sliced[axis] = content.length
    field = field && cutField(field, axis - shape.length, cut?.start, same(sliced[axis], shape[axis]))
  })
  return { type: x.type, shape: sliced, content, field }
}

/** The part [start, end) of an axis; ends beyond the axis are clamped, so a large end means "to the end". */
function cutAxis(
  size: MaybeDim,
  start: MaybeDim,
  end: MaybeDim,
): { start: number | undefined; length: MaybeDim } | undefined {
  if (start === undefined || end === undefined) return undefined
  if (typeof size === 'number' && typeof start === 'number' && typeof end === 'number') {
    const clamp = (at: number) => Math.min(Math.max(at < 0 ? at + size : at, 0), size)
    return { start: clamp(start), length: Math.max(clamp(end) - clamp(start), 0) }
  }
  if (typeof start !== 'number' || start < 0) return undefined
  const toEnd = typeof end === 'number' && end >= 2 ** 31 - 1
  const stop = toEnd ? size : end
  if (stop === undefined || (typeof stop === 'number' && stop < 0)) return { start, length: undefined }
  return { start, length: add(stop, negate(start)) }
}

function cutField(field: Field, axis: number, start: number | undefined, whole: boolean): Field | undefined {
  if (whole || !fieldAxes(field).includes(axis)) return field
  if (field.kind !== 'iota' || start === undefined) return undefined
  return { ...field, start: field.start + field.step * start }
}

export function inferConcat(operator: Operator): Facts {
  const inputs = operator.inputs
  const shapes = inputs.map(shapeOf)
  const first = shapes[0]
  const type = inputs[0]?.type
  if (!first || shapes.some((shape) => shape?.length !== first.length)) return { type }
  const axis = normalAxis(intAttribute(operator, 'axis', 0), first.length)
  const total = shapes.reduce<MaybeDim>((sum, shape) => {
    const dim = shape![axis]
    return sum === undefined || dim === undefined ? undefined : add(sum, dim)
  }, 0)
  const shape = first.map((dim, i) => (i === axis ? total : dim))
  const contents = inputs.map(contentOf)
  const content = first.length === 1 && contents.every((item) => item) ? contents.flatMap((item) => item!) : undefined
  return { type, shape, content }
}

/** @param slot which of the outputs */
export function inferSplit(operator: Operator, slot: number): Facts {
  const shape = shapeOf(operator.inputs[0])
  const type = operator.inputs[0]?.type
  if (!shape) return { type }
  const axis = normalAxis(intAttribute(operator, 'axis', 0), shape.length)
  const size = shape[axis]
  const sizes = intsAttribute(operator, 'split') ?? numbersOf(operator.inputs[1])
  const even = size === undefined ? undefined : divide(size, operator.outputs.length)
  return { type, shape: shape.map((dim, i) => (i === axis ? (sizes?.[slot] ?? even) : dim)) }
}
