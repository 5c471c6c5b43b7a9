import { randomInt } from 'node:crypto'
import { rmSync } from 'node:fs'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { RunError } from '../errors.js'
import { atExit } from './exit.js'
import { describeCode } from './system_codes.js'

/** As writeAtomicWith, of content that is at hand. @param parts written one after the other */
export async function writeAtomic(file: string, ...parts: readonly (string | Uint8Array)[]): Promise<void> {
  await writeAtomicWith(file, async (handle) => {
    for (const part of parts) await handle.writeFile(part)
  })
}

/**
 * Writes a file so that whoever looks sees the old content or the whole new one: a temporary name in the same folder,
 * synced, renamed, and the folder synced. The rename is the commit point; before it the old file is as it was, and a
 * failure leaves nothing beside it.
 * @param write fills the file; an error of its own, such as of a source that it reads, comes through as it is
 * @param check looks at the file under its temporary name; what it throws keeps the old one
 * @throws RunError ERR_RUN_WRITE with `details.reason`, the system's code (ENOSPC, EROFS, ...)
 */
export async function writeAtomicWith(
  file: string,
  write: (handle: FileHandle) => Promise<void>,
  check?: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = temporaryName(file)
  const forget = atExit(() => rmSync(temporary, { force: true }))
  try {
    await fillSynced(temporary, write)
    await check?.(temporary)
    await rename(temporary, file)
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {})
    throw isWriteFailure(cause) ? writeError(file, cause) : cause
  } finally {
    forget()
  }
  await syncFolder(dirname(file))
}

/** Of one call, in bytes: the system takes no more than 2 GiB. */
const largestWrite = 2 ** 30

/** Writes all of the bytes at a place of the file: a disk that fills up takes a part of what it is given. */
export async function writeAt(handle: FileHandle, bytes: Uint8Array, position = 0): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const count = Math.min(bytes.byteLength - done, largestWrite)
    const { bytesWritten } = await handle.write(bytes, done, count, position + done)
    done += bytesWritten
  }
}

/** True for a name that writeAtomic uses on the way; such a file without a living process belongs to nobody. */
export function isTemporary(name: string): boolean {
  return /^\..+\.\d+\.\d+\.tmp$/.test(name)
}

/** A name beside the file; the random number keeps two hosts apart whose processes have the same number. */
export function temporaryName(file: string): string {
  return join(dirname(file), `.${basename(file)}.${process.pid}.${randomInt(2 ** 47)}.tmp`)
}

/** The error for a file that the system refuses to write. */
export function writeError(file: string, cause: unknown): RunError {
  const { code, message } = cause as NodeJS.ErrnoException
  const why = describeCode(code) ?? message
  const advice = Object.hasOwn(advices, code ?? '') ? `: ${advices[code!]}` : ''
  return new RunError('ERR_RUN_WRITE', `${file}: cannot be written: ${why}${advice}`, { file, reason: code }, { cause })
}

const advices: Readonly<Record<string, string>> = {
  ENOSPC: 'free some, or choose another place',
  EDQUOT: 'free some space, or choose another place',
  EROFS: 'choose another place',
  EACCES: 'choose another place, or change the permission',
  EPERM: 'choose another place, or change the permission',
}

/** A failure of the system, unless it is of a file that is read meanwhile. */
function isWriteFailure(error: unknown): boolean {
  const { code, errno, syscall } = (error ?? {}) as NodeJS.ErrnoException
  return syscall !== 'read' && (errno !== undefined || describeCode(code) !== undefined)
}

async function fillSynced(file: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const handle = await open(file, 'w')
  try {
    await write(handle)
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
