import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Writes a file so that whoever looks sees the old content or the whole new one: a temporary name in the same folder,
 * synced, renamed, and the folder synced. The rename is the commit point.
 * @param parts written one after the other
 */
export async function writeAtomic(file: string, ...parts: readonly (string | Uint8Array)[]): Promise<void> {
  // The process id keeps two processes apart; a killed one leaves a file that nothing reads.
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}.tmp`)
  try {
    const handle = await open(temporary, 'w')
    try {
      for (const part of parts) await handle.writeFile(part)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(file))
}

/** Makes a rename in the folder survive a power cut. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
