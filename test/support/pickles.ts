/** Pickles put together by hand, for files that no honest program writes. */
import { zipSync } from 'fflate'

export type Part = string | Uint8Array

export function bytesOf(...parts: readonly Part[]): Uint8Array {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)))
}

/** BINUNICODE. @param length another one than the text has */
export function text(value: string, length = Buffer.byteLength(value)): Uint8Array {
  const bytes = Buffer.alloc(5 + Buffer.byteLength(value), 'X')
  bytes.writeUInt32LE(length, 1)
  bytes.write(value, 5)
  return bytes
}

/** LONG1 of eight bytes. */
export function long(value: number): Uint8Array {
  const bytes = Buffer.from('\x8a\x08........', 'latin1')
  bytes.writeBigInt64LE(BigInt(value), 2)
  return bytes
}

const tuple = (values: readonly number[]) => bytesOf('(', ...values.map(long), 't')

export interface TensorParts {
  readonly key?: string
  readonly type?: string
  /** Elements that the storage is said to have. */
  readonly elements?: number
  readonly offset?: number
  readonly shape?: readonly number[]
  readonly stride?: readonly number[]
  readonly more?: Part
}

/** The call that makes a tensor: [4], the whole of storage 0, unless something else is asked for. */
export function tensor(parts: TensorParts = {}): Uint8Array {
  const { key = '0', type = 'FloatStorage', elements = 4, offset = 0, shape = [4], stride = [1], more = '' } = parts
  const id = bytesOf('(', text('storage'), `ctorch\n${type}\n`, text(key), text('cpu'), long(elements), 'tQ')
  const call = bytesOf(
    '(',
    id,
    long(offset),
    tuple(shape),
    tuple(stride),
    '\x89ccollections\nOrderedDict\n)R',
    more,
    't',
  )
  return bytesOf('ctorch._utils\n_rebuild_tensor_v2\n', call, 'R')
}

/** A pickle of a dictionary with one key. */
export function dictionary(value: Part, key: Part = text('a')): Uint8Array {
  return bytesOf('\x80\x02}', key, value, 's.')
}

/** Storage 0 holds 0, 1, 2, 3. */
export const storages = { 'x/data/0': new Uint8Array(Float32Array.of(0, 1, 2, 3).buffer) }

/** A file of torch.save around a pickle. */
export function torchFile(pickle: Uint8Array, files: Readonly<Record<string, Uint8Array>> = storages): Uint8Array {
  return zipSync({ 'x/data.pkl': pickle, ...files, 'x/version': Buffer.from('3\n') }, { level: 0 })
}
