import { stat } from 'node:fs/promises'

/** What a path is; undefined where there is nothing. */
export async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() ? 'file' : found?.isDirectory() ? 'folder' : undefined
}
