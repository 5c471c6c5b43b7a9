/** The layout since torch 1.6: a ZIP archive with a pickle, and a file for each storage. */

import { readArchive } from './archive.js'
import { PickleReader, type PickleValue } from './pickle.js'
import { storageTypes, type Storage } from './storage.js'
import type { Wrong } from './wrong.js'

export function isZipLayout(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4
}

/** The value of the pickle, its storages filled. @throws what `wrong` makes */
export function readZipLayout(bytes: Uint8Array, wrong: Wrong): PickleValue {
  const entries = readArchive(bytes, wrong)
  const roots = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name))
  if (roots.length !== 1) throw wrong(`its archive has ${roots.length} files FOLDER/data.pkl, expected one`)
  const folder = roots[0]!.slice(0, -'data.pkl'.length)
  const littleEndian = isLittleEndian(entries.get(`${folder}byteorder`), wrong)
  const storages = new Map<string, Storage>()
  const pickle = entries.get(roots[0]!)!
  const reader = new PickleReader(pickle, findStorage, wrong)
  const value = reader.read()
  if (reader.at !== pickle.length) throw wrong(`${pickle.length - reader.at} bytes follow its pickle`)
  return value

  function findStorage(asked: Storage): Storage {
    const { key, type, elements } = asked
    const before = storages.get(key)
    if (before) {
      if (before.type === type && before.elements === elements) return before
      throw wrong(`storage "${key}" has two types or sizes`, { storage: key })
    }
    const content = entries.get(`${folder}data/${key}`)
    if (!content) throw wrong(`storage "${key}" is not in its archive`, { storage: key })
    const expected = elements * storageTypes[type]
    if (content.length !== expected)
      throw wrong(`storage "${key}" has ${content.length} bytes, expected ${expected}`, { storage: key })
    asked.bytes = content
    asked.littleEndian = littleEndian
    storages.set(key, asked)
    return asked
  }
}

/** Files before torch 2.1 do not say it: they are of little-endian machines. */
function isLittleEndian(content: Uint8Array | undefined, wrong: Wrong): boolean {
  const order = content === undefined ? 'little' : Buffer.from(content.subarray(0, 16)).toString('latin1')
  if (order === 'little' || order === 'big') return order === 'little'
  throw wrong(`its byte order is ${JSON.stringify(order)}, expected little or big`)
}
