/**
 * What the reference kernels share. Every kernel is one set of plain loops; `round` decides the precision: identity
 * gives the f64 oracle, `Math.fround` the plain f32 loop that the error budget compares against.
 */

export interface Tensor {
  readonly shape: readonly number[]
  readonly data: Float64Array | Int32Array
}

export type Round = (value: number) => number

/** As in native/ops/call.h: what changes from step to step. */
export interface Scalars {
  readonly learningRate: number
  readonly step: number
  readonly seed: bigint
}

export interface KernelCall {
  readonly inputs: Readonly<Record<string, Tensor | undefined>>
  /** Names already turned into their indices. */
  readonly attributes: Readonly<Record<string, number>>
  readonly scalars: Scalars
  readonly round: Round
}

/** Gives all outputs of the op, the optional ones too. */
export type Kernel = (call: KernelCall) => Record<string, Tensor>

export function tensor(shape: readonly number[], data?: ArrayLike<number>): Tensor {
  const size = shape.reduce((product, dim) => product * dim, 1)
  const values = data ? Float64Array.from(data) : new Float64Array(size)
  if (values.length !== size)
    throw new RangeError(`tensor [${shape.join(', ')}] holds ${size} values, got ${values.length}`)
  return { shape, data: values }
}

/** The operand of that name; a reference kernel without its operand is a fault of the test. */
export function need(call: KernelCall, name: string): Tensor {
  const value = call.inputs[name]
  if (!value) throw new TypeError(`the reference kernel lacks its operand "${name}"`)
  return value
}

export function attribute(call: KernelCall, name: string): number {
  const value = call.attributes[name]
  if (value === undefined) throw new TypeError(`the reference kernel lacks its attribute "${name}"`)
  return value
}

/** Rows and columns of a matrix; a vector is one row. */
export function extents(x: Tensor): readonly [rows: number, columns: number] {
  if (x.shape.length === 1) return [1, x.shape[0]!]
  const columns = x.shape.at(-1)!
  return [x.shape.slice(0, -1).reduce((product, dim) => product * dim, 1), columns]
}
