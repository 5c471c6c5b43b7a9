import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/**
 * Makes a folder and those above it. Node's own `recursive` never returns on a file system that says "no such entry" of
 * a folder whose parent is there (Linux: /proc).
 * @returns the topmost folder that was made; undefined where it was there
 * @throws the system's error
 */
export async function makeFolder(folder: string): Promise<string | undefined> {
  const path = resolve(folder)
  try {
    await mkdir(path)
    return path
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return undefined
    if (code !== 'ENOENT' || dirname(path) === path) throw error
    const above = await makeFolder(dirname(path))
    await mkdir(path).catch(ignoreExisting)
    return above ?? path
  }
}

/** Somebody else has made it meanwhile. */
function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
