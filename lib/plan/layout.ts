import type { Value } from '../ir/graph.js'

/** A tensor under its public name, as a view of the flat buffer; counts are floats. */
export interface ParameterView {
  readonly name: string
  readonly shape: readonly number[]
  readonly offset: number
  readonly length: number
}

/** Where every parameter lies in the one flat buffer; gradients and both moments have the same layout. */
export interface ParameterLayout {
  /** Floats of each flat buffer, gaps between tensors (always 0) included. */
  readonly size: number
  /** The first floats, those of trained matrices and tables, take weight decay. */
  readonly decayed: number
  /** First float of each parameter, by its value's name. */
  readonly offsets: ReadonlyMap<string, number>
  /** Trained tensors by public name, in flat order. */
  readonly trained: readonly ParameterView[]
  /** Tensors that are kept but not trained. Their gradients stay 0 and they do not decay, so a step leaves them. */
  readonly held: readonly ParameterView[]
  /** Bytes that stay free behind every tensor and every activation: 0 but in tests, which look who writes there. */
  readonly guard: number
}

/** Floats per cache line: tensors start on one, so kernels store whole lines. */
const alignment = 16
const bytesPerFloat = 4

/**
 * Lays out parameters: trained matrices first, then trained vectors, then what is only held.
 * @param guard bytes, whole lines, for tests: every op of a program with guards is watched by the engine, at a price
 */
export function layOutParameters(
  parameters: readonly Value[],
  isTrained: (value: Value) => boolean,
  guard = 0,
): ParameterLayout {
  const trained = parameters.filter(isTrained)
  const groups = [
    trained.filter((value) => value.shape.length > 1),
    trained.filter((value) => value.shape.length === 1),
    parameters.filter((value) => !isTrained(value)),
  ]
  const offsets = new Map<string, number>()
  const views: ParameterView[][] = [[], [], []]
  const ends: number[] = []
  let end = 0
  groups.forEach((group, i) => {
    for (const value of group) {
      offsets.set(value.name, end)
      const parts = partsOf(value, end)
      views[i]!.push(...parts)
      end = align(end + parts.reduce((sum, part) => sum + part.length, 0)) + guard / bytesPerFloat
    }
    ends.push(end)
  })
  return { size: end, decayed: ends[0]!, offsets, trained: [...views[0]!, ...views[1]!], held: views[2]!, guard }
}

/** A value's rows under their public names: query, key and value are one matrix but three tensors. */
function partsOf(value: Value, start: number): ParameterView[] {
  const parts = value.parts ?? [{ name: value.name, shape: value.shape.map(Number) }]
  let offset = start
  return parts.map(({ name, shape }) => {
    const length = shape.reduce((product, size) => product * size, 1)
    const view = { name, shape, offset, length }
    offset += length
    return view
  })
}

function align(floats: number): number {
  return Math.ceil(floats / alignment) * alignment
}

/** A whole flat buffer as one value, for ops that go over all parameters at once. */
export function flatBuffer(
  storage: 'parameter' | 'gradient' | 'moment1' | 'moment2' | 'working',
  layout: ParameterLayout,
): Value {
  return { name: wholeBuffer, dtype: storage === 'working' ? 'bf16' : 'f32', shape: [layout.size], storage }
}

/** No tensor can be called so. */
export const wholeBuffer = '*'
