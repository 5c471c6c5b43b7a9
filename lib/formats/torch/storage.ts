/** Typed memory that tensors of a torch file are views of, and those views. */

import { halfToFloat } from '../half.js'
import type { Wrong } from './wrong.js'

/** Bytes an element takes, by the class of its storage. */
export const storageTypes = {
  FloatStorage: 4,
  DoubleStorage: 8,
  HalfStorage: 2,
  BFloat16Storage: 2,
  LongStorage: 8,
  IntStorage: 4,
  ShortStorage: 2,
  CharStorage: 1,
  ByteStorage: 1,
  BoolStorage: 1,
} as const
export type StorageType = keyof typeof storageTypes

/** The memory of one or more tensors; in older files its bytes come behind the tensors that read it. */
export class Storage {
  bytes: Uint8Array | undefined
  littleEndian = true

  constructor(
    readonly type: StorageType,
    readonly key: string,
    readonly elements: number,
  ) {}
}

/** A tensor of a torch file. */
export class TorchTensor {
  /** @param stride elements from one value to the next along each dimension */
  private constructor(
    private readonly storage: Storage,
    private readonly offset: number,
    readonly shape: readonly number[],
    private readonly stride: readonly number[],
  ) {}

  /**
   * A view of a storage that lies within it, and holds no more values than it: a few bytes cannot ask for gigabytes.
   * @throws what `wrong` makes
   */
  static view(
    storage: Storage,
    offset: number,
    shape: readonly number[],
    stride: readonly number[],
    wrong: Wrong,
  ): TorchTensor {
    const elements = shape.reduce((product, n) => product * n, 1)
    const last = shape.reduce((sum, n, i) => sum + (n - 1) * stride[i]!, offset)
    if (!(elements <= storage.elements) || (elements > 0 && !(last < storage.elements))) {
      throw wrong(
        `a tensor [${shape.join(', ')}] with strides [${stride.join(', ')}] from element ${offset} does not fit in its ` +
          `storage "${storage.key}" of ${storage.elements} elements`,
        { storage: storage.key },
      )
    }
    return new TorchTensor(storage, offset, shape, stride)
  }

  get type(): StorageType {
    return this.storage.type
  }

  /** The values as 32-bit floats, row after row: a copy, made anew at every call. */
  floats(): Float32Array {
    const { storage, shape, stride, offset } = this
    const elements = shape.reduce((product, n) => product * n, 1)
    const values = new Float32Array(elements)
    const read = elementReader(storage)
    if (isContiguous(shape, stride)) {
      for (let i = 0; i < elements; i++) values[i] = read(offset + i)
      return values
    }
    const index = shape.map(() => 0)
    let at = offset
    for (let i = 0; i < elements; i++) {
      values[i] = read(at)
      for (let d = shape.length - 1; d >= 0; d--) {
        at += stride[d]!
        if (++index[d]! < shape[d]!) break
        at -= shape[d]! * stride[d]!
        index[d] = 0
      }
    }
    return values
  }
}

function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  let expected = 1
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] !== 1 && stride[d] !== expected) return false
    expected *= shape[d]!
  }
  return true
}

/** Reads the value at an index of a storage. */
function elementReader({ type, bytes, littleEndian }: Storage): (index: number) => number {
  const { buffer, byteOffset, byteLength } = bytes!
  const view = new DataView(buffer, byteOffset, byteLength)
  switch (type) {
    case 'FloatStorage':
      return (i) => view.getFloat32(4 * i, littleEndian)
    case 'DoubleStorage':
      return (i) => view.getFloat64(8 * i, littleEndian)
    case 'HalfStorage':
      return (i) => halfToFloat(view.getUint16(2 * i, littleEndian))
    case 'BFloat16Storage': {
      const bits = new DataView(new ArrayBuffer(4))
      return (i) => {
        bits.setUint32(0, view.getUint16(2 * i, littleEndian) << 16)
        return bits.getFloat32(0)
      }
    }
    case 'LongStorage':
      return (i) => Number(view.getBigInt64(8 * i, littleEndian))
    case 'IntStorage':
      return (i) => view.getInt32(4 * i, littleEndian)
    case 'ShortStorage':
      return (i) => view.getInt16(2 * i, littleEndian)
    case 'CharStorage':
      return (i) => view.getInt8(i)
    case 'ByteStorage':
    case 'BoolStorage':
      return (i) => view.getUint8(i)
  }
}
