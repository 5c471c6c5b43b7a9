/** The folder a training writes to: whether it may be used, and by whom. */

import { constants } from 'node:fs'
import { access, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { OnnxAdaptersError, OptionError } from '../errors.js'
import { isTemporary, writeError } from '../formats/atomic.js'
import { makeFolder } from '../formats/folder.js'
import { acquireLock, refuseHeld, type Lock } from '../formats/lock.js'
import { runFiles } from './run.js'

/** What may be in the folder: nothing, a run to replace, or a run to go on with. */
export type OutputMode = 'new' | 'overwrite' | 'resume'

const lockName = 'run.lock'

/**
 * Tells before any work what would stop a training at its end; changes nothing.
 * @throws OptionError ERR_OPTION for a path that is no folder, ERR_OUTPUT_EXISTS; RunError ERR_RUN_WRITE, ERR_RUN_BUSY
 */
export async function checkOutput(folder: string, mode: OutputMode): Promise<void> {
  await checkWritable(folder)
  await refuseHeld(join(folder, lockName)).catch(ignoreMissing)
  await checkContent(folder, mode)
}

/** A folder that no other training can use until it is released. */
export interface Claim {
  /** @throws RunError ERR_RUN_BUSY where the lock is not ours any more */
  check(): Promise<void>
  /** Gives the folder free; one that was made here and is still empty goes. */
  release(): Promise<void>
}

/**
 * Makes the folder where there is none and locks it. Remains of killed processes go, and with `overwrite` the files of
 * an earlier run; other files stay.
 * @throws as checkOutput
 */
export async function claimOutput(folder: string, mode: OutputMode): Promise<Claim> {
  const made = await makeFolder(folder).catch((cause: unknown) => {
    throw writeError(folder, cause)
  })
  const leave = async () => {
    if (made !== undefined) await removeEmpty(resolve(folder), resolve(made))
  }
  let lock: Lock | undefined
  try {
    lock = await acquireLock(join(folder, lockName))
    // Somebody may have written there since the first look.
    await checkContent(folder, mode)
    await clear(folder, mode)
  } catch (error) {
    await lock?.release()
    await leave()
    throw error
  }
  const held = lock
  return { check: () => held.check(), release: () => held.release().then(leave) }
}

async function clear(folder: string, mode: OutputMode): Promise<void> {
  try {
    for (const name of await readdir(folder)) if (isRemains(name)) await rm(join(folder, name), { force: true })
    if (mode !== 'overwrite') return
    // The record first: without it nobody takes the rest for a run.
    for (const name of Object.values(runFiles)) await rm(join(folder, name), { force: true })
  } catch (cause) {
    throw writeError(folder, cause)
  }
}

/** Files that only a killed process leaves. */
function isRemains(name: string): boolean {
  return isTemporary(name) || name.startsWith(`${lockName}.`)
}

async function checkContent(folder: string, mode: OutputMode): Promise<void> {
  if (mode === 'overwrite') return
  const found = (await readdir(folder).catch(ignoreMissing)) ?? []
  const content = found.filter((name) => name !== lockName && !isRemains(name))
  const isRun = content.some((name) => name === runFiles.record || name === runFiles.checkpoint)
  if (content.length === 0 || (mode === 'resume' && isRun)) return
  const [what, advice] =
    mode === 'resume'
      ? ['holds no run to go on with, but other files', 'choose another output']
      : isRun
        ? [
            'holds a run',
            'choose another output, replace it by option "overwrite", or go on with it by option "resume"',
          ]
        : ['exists and is not empty', 'choose another output, or write beside what is there by option "overwrite"']
  throw new OptionError('ERR_OUTPUT_EXISTS', `${folder} ${what}; ${advice}`, {
    option: 'output',
    got: folder,
    expected: 'a new or empty folder',
  })
}

/** The folder, or the nearest one above it that there is, must be a folder that can be written to. */
async function checkWritable(folder: string): Promise<void> {
  let nearest = resolve(folder)
  let found = await stat(nearest).catch(ignoreMissing)
  while (!found && dirname(nearest) !== nearest) {
    nearest = dirname(nearest)
    found = await stat(nearest).catch(ignoreMissing)
  }
  if (!found?.isDirectory()) {
    throw new OptionError('ERR_OPTION', `option "output": ${nearest} is a file, expected a folder`, {
      option: 'output',
      got: folder,
      expected: 'a folder',
    })
  }
  await access(nearest, constants.W_OK | constants.X_OK).catch((cause: unknown) => {
    throw writeError(nearest, cause)
  })
}

/** For paths that may not be there, or lead through a file: what is above them is looked at next. */
function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
  throw error instanceof OnnxAdaptersError ? error : writeError(error.path ?? 'output', error)
}

/** Removes empty folders from one up to another. */
async function removeEmpty(folder: string, top: string): Promise<void> {
  for (let at = folder; at.startsWith(top); at = dirname(at)) {
    try {
      await rmdir(at)
    } catch {
      return // It has content, or is gone already.
    }
  }
}
