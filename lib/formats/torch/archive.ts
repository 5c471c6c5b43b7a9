/**
 * The ZIP archives of torch.save: entries are stored, not compressed, and lie in front of a central directory that is
 * the authority on all of them. Every place that the archive names is checked before it is looked at.
 */

import { crc32 } from 'node:zlib'
import type { Wrong } from './wrong.js'

const signatures = { local: 0x04034b50, central: 0x02014b50, end: 0x06054b50, end64: 0x06064b50, locator64: 0x07064b50 }
/** Bytes of each record without what varies in length. */
const sizes = { local: 30, central: 46, end: 22, end64: 56, locator64: 20 }
const longestComment = 0xffff

/** Where the central directory lies, and how many entries it has. */
interface Directory {
  readonly first: number
  readonly last: number
  readonly count: number
}

interface Entry {
  readonly name: string
  /** Of its local header. */
  readonly header: number
  readonly size: number
  readonly checksum: number
}

/** Entries by name; their bytes are views of the archive. @throws what `wrong` makes */
export function readArchive(bytes: Uint8Array, wrong: Wrong): ReadonlyMap<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const directory = findDirectory(view, wrong)
  const entries = readDirectory(view, directory, wrong)
  const found = new Map<string, Uint8Array>()
  let end = 0
  for (const entry of entries.sort((a, b) => a.header - b.header)) {
    const { name, header, size, checksum } = entry
    if (found.has(name)) throw wrong(`two entries are called "${name}"`, { entry: name })
    if (header < end) throw wrong(`entry "${name}" overlaps another one`, { entry: name })
    const start = contentStart(view, entry, directory.first, wrong)
    end = start + size
    if (end > directory.first) throw wrong(`entry "${name}" of ${size} bytes does not fit`, { entry: name })
    const content = bytes.subarray(start, end)
    if (crc32(content) !== checksum)
      throw wrong(`the checksum of entry "${name}" is another one: the file is damaged`, { entry: name })
    found.set(name, content)
  }
  return found
}

function findDirectory(view: DataView, wrong: Wrong): Directory {
  const { byteLength: length } = view
  let end = length - sizes.end
  const lowest = Math.max(0, end - longestComment)
  const isEnd = (at: number) =>
    view.getUint32(at, true) === signatures.end && view.getUint16(at + 20, true) === length - at - sizes.end
  while (end >= lowest && !isEnd(end)) end--
  if (end < lowest) throw wrong('it is a ZIP archive without an end: the file is cut')
  const directory = readEnd64(view, end, wrong) ?? {
    count: view.getUint16(end + 10, true),
    first: view.getUint32(end + 16, true),
    last: view.getUint32(end + 16, true) + view.getUint32(end + 12, true),
  }
  if (directory.last > end || directory.count * sizes.central > directory.last - directory.first)
    throw wrong('the directory of its archive does not fit')
  return directory
}

/** What stands in the record for large archives, which torch writes always; undefined where there is none. */
function readEnd64(view: DataView, end: number, wrong: Wrong): Directory | undefined {
  const locator = end - sizes.locator64
  if (locator < 0 || view.getUint32(locator, true) !== signatures.locator64) return undefined
  const at = readCount(view, locator + 8)
  if (at > locator - sizes.end64 || view.getUint32(at, true) !== signatures.end64)
    throw wrong('the end of its archive is not where it says')
  const first = readCount(view, at + 48)
  return { count: readCount(view, at + 32), first, last: first + readCount(view, at + 40) }
}

/** Eight bytes as a number; beyond 2^53 it is not exact, but larger than any file. */
function readCount(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true))
}

function readDirectory(view: DataView, { first, last, count }: Directory, wrong: Wrong): Entry[] {
  const entries: Entry[] = []
  let at = first
  for (let i = 0; i < count; i++) {
    if (at + sizes.central > last || view.getUint32(at, true) !== signatures.central)
      throw wrong(`entry ${i} of ${count} is not in the directory of its archive`)
    const nameLength = view.getUint16(at + 28, true)
    const next = at + sizes.central + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
    if (next > last) throw wrong(`entry ${i} of ${count} does not fit in the directory of its archive`)
    const name = readName(view, at + sizes.central, nameLength, wrong)
    if (view.getUint16(at + 8, true) & 1) throw wrong(`entry "${name}" is encrypted`, { entry: name })
    if (view.getUint16(at + 10, true) !== 0)
      throw wrong(`entry "${name}" is compressed, which torch never does`, { entry: name })
    const [packed, size] = [view.getUint32(at + 20, true), view.getUint32(at + 24, true)]
    const header = view.getUint32(at + 42, true)
    if (packed !== size || Math.max(size, header) === 0xffffffff)
      throw wrong(`entry "${name}" is larger than 4 GiB, or its sizes contradict each other`, { entry: name })
    entries.push({ name, header, size, checksum: view.getUint32(at + 16, true) })
    at = next
  }
  return entries
}

/** Where the bytes of an entry begin: behind its local header, which must lie in front of the directory. */
function contentStart(view: DataView, { name, header }: Entry, limit: number, wrong: Wrong): number {
  const isHeader = header + sizes.local <= limit && view.getUint32(header, true) === signatures.local
  if (!isHeader) throw wrong(`entry "${name}" is not where the directory of its archive says`, { entry: name })
  const nameLength = view.getUint16(header + 26, true)
  const start = header + sizes.local + nameLength + view.getUint16(header + 28, true)
  const fits = start <= limit && readName(view, header + sizes.local, nameLength, wrong) === name
  if (!fits) throw wrong(`entry "${name}" has another name at its place`, { entry: name })
  return start
}

function readName(view: DataView, at: number, length: number, wrong: Wrong): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(view.buffer, view.byteOffset + at, length))
  } catch {
    throw wrong('the name of an entry is not UTF-8')
  }
}
