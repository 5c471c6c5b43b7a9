import { type Dim, type MaybeDim, sameShape } from './dim.js'
import { type Field, uniform } from './field.js'
import type { Quantity } from './network.js'
import { DataType, type OnnxTensor } from './schema.js'
import { elementCount, plainTensor, tensorData, tensorNumbers, tensorShape, widthOf } from './tensor.js'

/** Tensors up to this size are followed element by element: shapes, not weights. */
const maxContent = 4096
/** Constants up to this size are looked at for being uniform or a ramp: position tables, masks of zeros. */
const maxScanned = 2 ** 22

export function isInteger(type: number | undefined): boolean {
  return (
    type === DataType.int64 ||
    type === DataType.int32 ||
    type === DataType.uint8 ||
    type === DataType.int8 ||
    type === DataType.int16
  )
}

export function isFloat(type: number | undefined): boolean {
  return type === DataType.float || type === DataType.float16 || type === DataType.double || type === DataType.bfloat16
}

/** Shape, read from the constant where there is one. */
export function shapeOf(value: Quantity | undefined): readonly MaybeDim[] | undefined {
  if (!value) return undefined
  if (!value.shape && value.constant) value.shape = tensorShape(value.constant)
  return value.shape
}

function isNumeric(tensor: OnnxTensor): boolean {
  return isFloat(tensor.dataType) || isInteger(tensor.dataType) || tensor.dataType === DataType.bool
}

/** All elements of a small tensor, in order; single ones may be unknown. */
export function contentOf(value: Quantity | undefined): readonly MaybeDim[] | undefined {
  if (!value) return undefined
  const tensor = value.constant
  if (!value.content && tensor && isNumeric(tensor) && elementCount(tensor) <= maxContent)
    value.content = tensorNumbers(tensor)
  return value.content
}

/** All elements, where they are plain numbers. */
export function numbersOf(value: Quantity | undefined): number[] | undefined {
  const content = contentOf(value)
  return content?.every((item) => typeof item === 'number') ? (content as number[]) : undefined
}

const scanned = new WeakMap<OnnxTensor, { field: Field | undefined }>()

/** The value as a function of place: derived, or read off a constant. */
export function fieldOf(value: Quantity | undefined): Field | undefined {
  if (!value) return undefined
  if (value.field) return value.field
  const tensor = value.constant
  if (tensor) {
    let entry = scanned.get(tensor)
    if (!entry) {
      entry = { field: mayBeField(tensor) ? readField(tensorNumbers(tensor), tensorShape(tensor)) : undefined }
      scanned.set(tensor, entry)
    }
    return entry.field
  }
  const numbers = numbersOf(value)
  const shape = shapeOf(value)
  return numbers && shape ? readField(numbers, shape as readonly Dim[]) : undefined
}

/** Looks at the first elements before all of a large tensor is gone through: weights give themselves away at once. */
function mayBeField(tensor: OnnxTensor): boolean {
  const count = elementCount(tensor)
  if (!isNumeric(tensor) || count > maxScanned) return false
  const [a, b, c] = count > 2 ? firstThree(tensor) : []
  return (
    a === undefined || a === b || tensor.dims.at(-1) === 2 || c! - b! === b! - a || tensor.dataType === DataType.float16
  )
}

function firstThree(tensor: OnnxTensor): number[] {
  const { start, dataType = DataType.float } = tensor
  const few = start && plainTensor(dataType, [start.length / widthOf(dataType)], { rawData: start })
  return Array.from(tensorData(few ?? tensor).subarray(0, 3), Number)
}

function readField(numbers: readonly number[], shape: readonly MaybeDim[]): Field | undefined {
  const first = numbers[0]
  if (first === undefined) return undefined
  if (numbers.every((number) => number === first)) return uniform(first)
  const length = shape.at(-1)
  if (typeof length !== 'number' || length < 2) return undefined
  const step = numbers[1]! - first
  if (!numbers.every((number, i) => number === first + step * (i % length))) return undefined
  return { kind: 'iota', start: first, step, axis: -1 }
}

/** The one number that fills a value, whatever its shape. */
export function scalarOf(value: Quantity | undefined): number | undefined {
  const field = fieldOf(value)
  return field?.kind === 'uniform' ? field.value : undefined
}

export function hasSameShape(a: Quantity | undefined, b: Quantity | undefined): boolean {
  return sameShape(shapeOf(a), shapeOf(b))
}
