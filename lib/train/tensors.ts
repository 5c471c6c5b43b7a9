import type { ParameterView } from '../plan/layout.js'
import { OptionError } from '../errors.js'
import { hint } from '../options.js'

export interface Tensor {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

export type TensorMap = Map<string, Tensor>

/** Copies of the named tensors of a flat buffer. */
export function unpackTensors(flat: Float32Array, views: readonly ParameterView[]): TensorMap {
  return new Map(
    views.map(({ name, shape, offset, length }) => [name, { shape, data: flat.slice(offset, offset + length) }]),
  )
}

/**
 * Writes tensors into their places of a flat buffer; those not given stay.
 * @throws {OptionError} ERR_OPTION for a name that is not there or data of another size
 */
export function packTensors(
  flat: Float32Array,
  views: readonly ParameterView[],
  tensors: ReadonlyMap<string, Pick<Tensor, 'data'> & Partial<Tensor>>,
): void {
  const byName = new Map(views.map((view) => [view.name, view]))
  for (const [name, { data, shape }] of tensors) {
    const view = byName.get(name)
    if (!view)
      throw new OptionError('ERR_OPTION', `there is no trained tensor "${name}"${hint(name, byName.keys())}`, {
        option: name,
      })
    const sameShape = !shape || (shape.length === view.shape.length && shape.every((size, i) => size === view.shape[i]))
    if (data.length !== view.length || !sameShape) {
      const got = sameShape ? [data.length] : shape
      throw new OptionError(
        'ERR_OPTION',
        `tensor "${name}" must be [${view.shape.join(', ')}], not [${got.join(', ')}] (${data.length} values)`,
        {
          option: name,
          expected: view.shape,
          got,
        },
      )
    }
    flat.set(data, view.offset)
  }
}
