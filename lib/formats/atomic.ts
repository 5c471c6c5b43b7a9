import { rmSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { RunError } from '../errors.js'

/**
 * Writes a file so that whoever looks sees the old content or the whole new one: a temporary name in the same folder,
 * synced, renamed, and the folder synced. The rename is the commit point; before it the old file is as it was, and a
 * failure leaves nothing beside it.
 * @param parts written one after the other
 * @throws RunError ERR_RUN_WRITE with `details.reason`, the system's code (ENOSPC, EROFS, ...)
 */
export async function writeAtomic(file: string, ...parts: readonly (string | Uint8Array)[]): Promise<void> {
  const temporary = temporaryName(file)
  removeAtExit(temporary)
  try {
    await writeSynced(temporary, parts)
    await rename(temporary, file)
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {})
    throw writeError(file, cause)
  } finally {
    underWay.delete(temporary)
  }
  await syncFolder(dirname(file))
}

/** True for a name that writeAtomic uses on the way; such a file without a living process belongs to nobody. */
export function isTemporary(name: string): boolean {
  return /^\..+\.\d+\.\d+\.tmp$/.test(name)
}

/** The error for a file that the system refuses to write. */
export function writeError(file: string, cause: unknown): RunError {
  const { code, message } = cause as NodeJS.ErrnoException
  const why = reasons[code ?? ''] ?? message
  return new RunError('ERR_RUN_WRITE', `${file}: cannot be written: ${why}`, { file, reason: code }, { cause })
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the device (ENOSPC): free some, or choose another place',
  EDQUOT: 'the disk quota is used up (EDQUOT): free some space, or choose another place',
  EROFS: 'the file system is read-only (EROFS): choose another place',
  EACCES: 'there is no permission to write there (EACCES): choose another place, or change the permission',
  EPERM: 'there is no permission to write there (EPERM): choose another place, or change the permission',
  ENOENT: 'its folder is not there any more (ENOENT)',
  ENOTDIR: 'a part of its path is a file, not a folder (ENOTDIR)',
}

let writes = 0

/** The process and a count keep two writes apart. */
function temporaryName(file: string): string {
  return join(dirname(file), `.${basename(file)}.${process.pid}.${writes++}.tmp`)
}

async function writeSynced(file: string, parts: readonly (string | Uint8Array)[]): Promise<void> {
  const handle = await open(file, 'w')
  try {
    for (const part of parts) await handle.writeFile(part)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Not every file system can sync a folder: those that say so order their renames in ways of their own. */
const cannotSync = ['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM', 'EACCES', 'EBADF']

/** Makes a rename in the folder survive a power cut. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (!cannotSync.includes((cause as NodeJS.ErrnoException).code ?? '')) throw writeError(folder, cause)
  }
}

const underWay = new Set<string>()
let watching = false

/** A process that exits in the middle of a write takes its temporary file along. */
function removeAtExit(file: string): void {
  underWay.add(file)
  if (watching) return
  watching = true
  process.once('exit', () => {
    for (const each of underWay) rmSync(each, { force: true })
  })
}
