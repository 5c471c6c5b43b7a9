import type { ParameterView } from '../plan/layout.js'
import { OptionError } from '../errors.js'
import { checkObject, hint, wrongOption } from '../options.js'

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

function checkTensor(name: string, tensor: Pick<Tensor, 'data'> & Partial<Tensor>): void {
  checkObject(name, tensor)
  if (!(tensor.data instanceof Float32Array)) throw wrongOption(`${name}.data`, 'a Float32Array', tensor.data)
  if (tensor.shape !== undefined && !Array.isArray(tensor.shape))
    throw wrongOption(`${name}.shape`, 'a list of sizes', tensor.shape)
}

/**
 * Writes tensors into their places of a flat buffer; those not given stay.
 * @throws {OptionError} ERR_OPTION for a name that is not there, data of another size, or a value that is not finite
 */
export function packTensors(
  flat: Float32Array,
  views: readonly ParameterView[],
  tensors: ReadonlyMap<string, Pick<Tensor, 'data'> & Partial<Tensor>>,
): void {
  if (!(tensors instanceof Map)) throw wrongOption('tensors', 'a Map from names to { shape, data }', tensors)
  const byName = new Map(views.map((view) => [view.name, view]))
  for (const [name, tensor] of tensors) {
    checkTensor(name, tensor)
    const { data, shape }: Pick<Tensor, 'data'> & Partial<Tensor> = tensor
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
    checkFinite(name, data)
    flat.set(data, view.offset)
  }
}

/** One value that is no number would make every output one. */
function checkFinite(name: string, data: Float32Array): void {
  const index = data.findIndex((value) => !Number.isFinite(value))
  if (index < 0) return
  const got = data[index]
  throw new OptionError('ERR_OPTION', `tensor "${name}" must hold finite numbers, but its value ${index} is ${got}`, {
    option: name,
    index,
    got,
    expected: 'finite numbers',
  })
}
