import { closeSync, createReadStream, fsyncSync, openSync, writeSync } from 'node:fs'
import { Unzip, UnzipInflate } from 'fflate'

/**
 * Takes files out of a zip archive, which is read once and never held in memory.
 * @param targets path in the archive -> where the file goes; nothing else is taken
 * @returns the paths that the archive has
 */
export async function extractFiles(archive: string, targets: ReadonlyMap<string, string>): Promise<Set<string>> {
  const found = new Set<string>()
  const open = new Set<number>()
  let failure: Error | undefined
  const unzip = new Unzip((file) => {
    const target = targets.get(file.name)
    if (target === undefined) return
    const handle = openSync(target, 'w')
    open.add(handle)
    // The parts come one after the other while the archive is read: they are written as they come.
    file.ondata = (error, part, final) => {
      if (error) failure ??= error
      else writeAll(handle, part)
      if (!final || error) return
      fsyncSync(handle)
      closeSync(handle)
      open.delete(handle)
      found.add(file.name)
    }
    file.start()
  })
  unzip.register(UnzipInflate)
  try {
    for await (const part of createReadStream(archive, { highWaterMark: 2 ** 18 })) {
      unzip.push(part as Buffer, false)
      if (failure) throw failure
    }
    unzip.push(new Uint8Array(0), true)
    if (failure) throw failure as Error
  } finally {
    for (const handle of open) closeSync(handle)
  }
  return found
}

function writeAll(handle: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(handle, bytes, done)
}
