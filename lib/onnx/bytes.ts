import type { FileHandle } from 'node:fs/promises'

/** Bytes [offset, offset + length) of an open file, in memory of their own; shorter where the file ends. */
export async function readRange(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length)
  let done = 0
  while (done < length) {
    // One read of the system returns at most 2 GiB.
    const { bytesRead } = await handle.read(buffer, done, Math.min(length - done, 2 ** 30), offset + done)
    if (bytesRead === 0) return buffer.subarray(0, done)
    done += bytesRead
  }
  return buffer
}

interface ViewConstructor<T> {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T
}

/** The bytes as numbers: a view where they are aligned, else a view of a copy. A ragged tail is left out. */
export function viewOf<T>(bytes: Uint8Array, view: ViewConstructor<T>): T {
  const width = view.BYTES_PER_ELEMENT
  const length = Math.floor(bytes.byteLength / width)
  if (bytes.byteOffset % width === 0) return new view(bytes.buffer, bytes.byteOffset, length)
  const copy = new Uint8Array(length * width)
  copy.set(bytes.subarray(0, length * width))
  return new view(copy.buffer, 0, length)
}
