import { shapeOf } from '../known.js'
import { intsAttribute, type Quantity } from '../network.js'
import type { OnnxTensor } from '../schema.js'
import { maker } from './pattern.js'

/** A constant of the file, taken as a vector [n] or a matrix [rows, columns]. */
export interface Weight {
  readonly tensor: OnnxTensor
  /** Name in the file. */
  readonly name: string
  readonly shape: readonly number[]
  /** The tensor holds [columns, rows]. */
  readonly transposed: boolean
  /** Only these rows of a larger weight, as where one matrix makes queries, keys and values. */
  readonly rows?: { readonly start: number; readonly of: number }
}

/** A matrix, stored either way round; a Transpose in the graph turns it once more. */
export function matchMatrix(value: Quantity | undefined): Weight | undefined {
  const transpose = maker(value, 'Transpose')
  if (transpose) {
    const inner = matchMatrix(transpose.inputs[0])
    const perm = intsAttribute(transpose, 'perm') ?? [1, 0]
    if (!inner || perm[0] !== 1 || perm[1] !== 0) return undefined
    return turned(inner)
  }
  const tensor = value?.constant
  const shape = shapeOf(value) as number[] | undefined
  if (!value || !tensor || shape?.length !== 2 || shape.some((dim) => dim === 0)) return undefined
  return { tensor, name: value.name, shape, transposed: false }
}

/** The same weight, read the other way round. */
export function turned(weight: Weight): Weight {
  return { ...weight, shape: [weight.shape[1]!, weight.shape[0]!], transposed: !weight.transposed }
}

/** Rows [start, end) of a weight; undefined where there are not that many. */
export function rowsOf(weight: Weight, start: number, end: number): Weight | undefined {
  const [count = 0, ...rest] = weight.shape
  if (!(0 <= start && start < end && end <= count)) return undefined
  const rows = { start: start + (weight.rows?.start ?? 0), of: weight.rows?.of ?? count }
  return { ...weight, shape: [end - start, ...rest], rows }
}

/** A vector [n]; axes of size 1 may stand before. */
export function matchVector(value: Quantity | undefined): Weight | undefined {
  let source = value
  while (source && !source.constant) {
    const view = maker(source, 'Reshape', 'Unsqueeze', 'Squeeze', 'Cast')
    if (!view) return undefined
    source = view.inputs[0]
  }
  const shape = shapeOf(value)
  const length = shape?.at(-1)
  if (!source?.constant || typeof length !== 'number' || length === 0) return undefined
  if (!shape!.slice(0, -1).every((dim) => dim === 1)) return undefined
  return { tensor: source.constant, name: source.name, shape: [length], transposed: false }
}
