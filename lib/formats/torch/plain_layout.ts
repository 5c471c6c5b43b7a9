/**
 * The layout before torch 1.6: five pickles (a magic number, a version, the machine, the value, the keys of storages in
 * order), then each storage: how many elements it has, and its bytes, which are little endian whatever the machine.
 */

import { PickleReader, type PickleValue } from './pickle.js'
import { storageTypes, type Storage } from './storage.js'
import type { Wrong } from './wrong.js'

const magicNumber = 0x1950a86a20f9469cfc6cn
const version = 1001

export function isPlainLayout(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x80 && bytes[1] === 2
}

/** The value of the main pickle, its storages filled. @throws what `wrong` makes */
export function readPlainLayout(bytes: Uint8Array, wrong: Wrong): PickleValue {
  const storages = new Map<string, Storage>()
  const reader = new PickleReader(bytes, findStorage, wrong)
  if (reader.read() !== magicNumber) throw wrong('it is a pickle, but not one of torch.save')
  const found = reader.read()
  if (found !== version) throw wrong(`its version is ${String(found)}, expected ${version}`)
  if (!(reader.read() instanceof Map)) throw wrong('it does not say which machine it is from')
  const value = reader.read()
  fillStorages(bytes, storages, reader, wrong)
  return value

  function findStorage(asked: Storage): Storage {
    const before = storages.get(asked.key) ?? asked
    if (before.type !== asked.type || before.elements !== asked.elements)
      throw wrong(`storage "${asked.key}" has two types or sizes`, { storage: asked.key })
    storages.set(asked.key, before)
    return before
  }
}

function fillStorages(
  bytes: Uint8Array,
  storages: ReadonlyMap<string, Storage>,
  reader: PickleReader,
  wrong: Wrong,
): void {
  const keys = reader.read()
  if (!Array.isArray(keys) || keys.length !== storages.size) throw wrong('the list of its storages is another one')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let { at } = reader
  for (const key of keys as PickleValue[]) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined
    if (!storage || storage.bytes) throw wrong('the list of its storages is another one')
    const size = storage.elements * storageTypes[storage.type]
    if (at + 8 + size > bytes.length) throw wrong(`storage "${storage.key}" is not all there: the file is cut`)
    if (Number(view.getBigInt64(at, true)) !== storage.elements)
      throw wrong(`storage "${storage.key}" has another size than its tensors say`, { storage: storage.key })
    storage.bytes = bytes.subarray(at + 8, at + 8 + size)
    at += 8 + size
  }
  if (at !== bytes.length) throw wrong(`${bytes.length - at} bytes belong to no tensor`)
}
