/** What torch.save makes of a dictionary of 32-bit floats, in the layout since torch 1.6. */

import { crc32 } from 'node:zlib'
import { InteropError } from '../../errors.js'
import type { FloatTensor } from '../safetensors.js'

/** The bytes of each entry begin at a multiple of it, as in torch, so that files can be mapped into memory. */
const alignment = 64
/** Names are UTF-8. */
const flags = 0x0800
/** 1 January 1980: the same tensors give the same file. */
const date = 0x0021

/**
 * The parts of the file, in order.
 * @param folder the archive's one folder, the name of the file without its ending in torch
 * @throws InteropError ERR_TORCH_FILE for a shape that does not fit its values, or more than 4 GiB
 */
export function encodeTorch(tensors: ReadonlyMap<string, FloatTensor>, folder: string): Uint8Array[] {
  const storages = [...tensors.values()].map(({ data }, key): [string, Uint8Array] => [
    `data/${key}`,
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ])
  const entries: [string, Uint8Array][] = [
    ['data.pkl', encodePickle(tensors)],
    ['byteorder', Buffer.from('little')],
    ...storages,
    ['version', Buffer.from('3\n')],
  ]
  return encodeArchive(entries.map(([name, bytes]) => [`${folder}/${name}`, bytes]))
}

/** Protocol 2: one dictionary; each tensor is a call of the function that puts it together from its storage. */
function encodePickle(tensors: ReadonlyMap<string, FloatTensor>): Uint8Array {
  const parts: (string | Uint8Array)[] = ['\x80\x02}(']
  let key = 0
  for (const [name, { shape, data }] of tensors) {
    const strides = shape.map((_, i) => shape.slice(i + 1).reduce((product, n) => product * n, 1))
    const elements = shape.reduce((product, n) => product * n, 1)
    if (elements !== data.length) {
      const message = `tensor "${name}" of shape [${shape.join(', ')}] has ${data.length} values`
      throw new InteropError('ERR_TORCH_FILE', message, { tensor: name })
    }
    const id = [
      '(',
      text('storage'),
      global('torch', 'FloatStorage'),
      text(String(key++)),
      text('cpu'),
      integer(elements),
    ]
    parts.push(text(name), global('torch._utils', '_rebuild_tensor_v2'))
    parts.push('(', ...id, 'tQ', integer(0), tuple(shape), tuple(strides), '\x89')
    parts.push(global('collections', 'OrderedDict'), ')R', 'tR')
  }
  parts.push('u.')
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)))
}

function text(value: string): Uint8Array {
  const bytes = Buffer.from(value)
  const head = Buffer.from('X....', 'latin1')
  head.writeUInt32LE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

function global(module: string, name: string): string {
  return `c${module}\n${name}\n`
}

function integer(value: number): Uint8Array {
  // LONG1 with eight bytes takes what four bytes with a sign do not.
  const head = Buffer.alloc(value > 0x7fffffff ? 10 : 5)
  if (value > 0x7fffffff) {
    head.write('\x8a\x08', 'latin1')
    head.writeBigInt64LE(BigInt(value), 2)
  } else {
    head.write('J', 'latin1')
    head.writeInt32LE(value, 1)
  }
  return head
}

function tuple(values: readonly number[]): Uint8Array {
  return Buffer.concat([Buffer.from('('), ...values.map(integer), Buffer.from('t')])
}

function encodeArchive(entries: readonly (readonly [name: string, bytes: Uint8Array])[]): Uint8Array[] {
  const parts: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let at = 0
  const add = (...added: Uint8Array[]) => {
    for (const part of added) at += part.length
    parts.push(...added)
  }
  for (const [name, bytes] of entries) {
    const nameBytes = Buffer.from(name)
    const both = commonFields(bytes, nameBytes.length)
    directory.push(centralHeader(both, at), nameBytes)
    // An extra field that torch calls FB fills up to the alignment; it takes four bytes at least.
    const start = at + 30 + nameBytes.length + 4
    const padding = (alignment - (start % alignment)) % alignment
    const extra = Buffer.alloc(4 + padding, 'Z')
    extra.write('FB')
    extra.writeUInt16LE(padding, 2)
    const local = Buffer.concat([signature(0x04034b50), both, Buffer.alloc(2)])
    local.writeUInt16LE(extra.length, 28)
    add(local, nameBytes, extra, bytes)
  }
  const first = at
  add(...directory)
  if (at > 0xffff_0000 || entries.length > 0xfff0)
    throw new InteropError('ERR_TORCH_FILE', 'more than 4 GiB or 65,000 tensors: too much for this format', {})
  add(endOfDirectory(entries.length, first, at - first))
  return parts
}

function signature(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** From "version needed" to the length of the name: the same in both headers. */
function commonFields(bytes: Uint8Array, nameLength: number): Buffer {
  const fields = Buffer.alloc(24)
  fields.writeUInt16LE(flags, 2)
  fields.writeUInt16LE(date, 8)
  fields.writeUInt32LE(crc32(bytes), 10)
  fields.writeUInt32LE(bytes.length, 14)
  fields.writeUInt32LE(bytes.length, 18)
  fields.writeUInt16LE(nameLength, 22)
  return fields
}

function centralHeader(both: Buffer, offset: number): Buffer {
  const rest = Buffer.alloc(16)
  rest.writeUInt32LE(offset, 12)
  return Buffer.concat([signature(0x02014b50), Buffer.alloc(2), both, rest])
}

function endOfDirectory(count: number, first: number, size: number): Buffer {
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50)
  end.writeUInt16LE(count, 8)
  end.writeUInt16LE(count, 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(first, 16)
  return end
}
