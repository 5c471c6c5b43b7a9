/**
 * A file that says which process owns a folder. It is made by a hard link, so it is never seen without its content,
 * and only one process can make it. The lock of a dead process is taken over: the right to replace that one lock is a
 * lock itself, named after it, so two processes that both find it stale cannot both win.
 */

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { RunError } from '../errors.js'
import { temporaryName, writeError } from './atomic.js'
import { atExit } from './exit.js'

export interface LockHolder {
  readonly pid: number
  readonly host: string
  /** When the lock was made, for people. */
  readonly since: string
  /** Tells the process from a later one with the same number; absent where the system does not say. */
  readonly born?: string
  /** Tells this lock from every other one. */
  readonly token: string
}

/** How often a lock that changes under our hands is looked at again. */
const attempts = 20

/**
 * Makes the lock, or takes it over from a process of this host that has died.
 * @throws RunError ERR_RUN_BUSY with `details.holder` while its process lives, or may live on another host;
 * ERR_RUN_WRITE
 */
export async function acquireLock(file: string): Promise<Lock> {
  const own = describeSelf()
  const temporary = temporaryName(file)
  try {
    await writeFile(temporary, JSON.stringify(own))
    for (let i = 0; i < attempts; i++) {
      if (await linkNew(temporary, file)) return new Lock(file, own.token)
      const holder = await readHolder(file)
      if (holder === undefined) continue
      if (isAlive(holder)) throw busy(file, holder)
      if (await replaceStale(file, holder, temporary)) return new Lock(file, own.token)
    }
  } catch (error) {
    throw error instanceof RunError ? error : writeError(file, error)
  } finally {
    await rm(temporary, { force: true }).catch(() => {})
  }
  throw busy(file, await readHolder(file))
}

/** Refuses a lock that somebody holds; changes nothing. @throws RunError ERR_RUN_BUSY */
export async function refuseHeld(file: string): Promise<void> {
  const holder = await readHolder(file)
  if (holder && isAlive(holder)) throw busy(file, holder)
}

/** A lock that this process holds. */
export class Lock {
  private readonly forget: () => void

  /** A process that exits takes its locks along; one that is killed leaves them to be taken over. */
  constructor(
    private readonly file: string,
    private readonly token: string,
  ) {
    this.forget = atExit(() => {
      if (existsSync(file) && readFileSync(file, 'utf8').includes(token)) rmSync(file)
    })
  }

  /** @throws RunError ERR_RUN_BUSY where somebody has removed or replaced it */
  async check(): Promise<void> {
    const holder = await readHolder(this.file)
    if (holder?.token !== this.token) throw busy(this.file, holder)
  }

  async release(): Promise<void> {
    this.forget()
    if ((await readHolder(this.file))?.token === this.token) await rm(this.file, { force: true })
  }
}

/** @returns false where the name is taken */
async function linkNew(temporary: string, file: string): Promise<boolean> {
  try {
    await link(temporary, file)
    return true
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes(code)) throw error
  }
  // A file system without hard links: for a moment the lock is empty, and readers wait for its content.
  try {
    await writeFile(file, await readFile(temporary), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** @returns false where somebody else has replaced it meanwhile */
async function replaceStale(file: string, stale: LockHolder, temporary: string): Promise<boolean> {
  const right = await acquireLock(`${file}.${stale.token}`)
  try {
    if ((await readHolder(file))?.token !== stale.token) return false
    await rename(temporary, file)
    return true
  } finally {
    await right.release()
  }
}

/** Undefined where there is no lock; one without readable content, as a power cut leaves it, belongs to nobody. */
async function readHolder(file: string): Promise<LockHolder | undefined> {
  for (let i = 0; i < attempts; i++) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (text === undefined) return undefined
    const holder = parseHolder(text)
    if (holder) return holder
    await wait(10)
  }
  return { pid: 0, host: hostname(), since: '', token: 'unreadable' }
}

function parseHolder(text: string): LockHolder | undefined {
  try {
    const holder = JSON.parse(text) as Partial<LockHolder> | null
    const fine = Number.isSafeInteger(holder?.pid) && /^[0-9a-f]+$/.test(holder?.token ?? '')
    return fine && typeof holder?.host === 'string' ? (holder as LockHolder) : undefined
  } catch {
    return undefined
  }
}

function describeSelf(): LockHolder {
  const { pid } = process
  return {
    pid,
    host: hostname(),
    since: new Date().toISOString(),
    born: birthOf(pid),
    token: randomBytes(8).toString('hex'),
  }
}

/** Whether the process of a lock lives, or may live: of another host nothing is known. */
function isAlive({ pid, host, born }: LockHolder): boolean {
  if (host !== hostname()) return true
  if (pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const now = birthOf(pid)
  return now === undefined || born === undefined || now === born
}

/** When a process was born, in the system's own terms; `gone` for one that has ended and waits for its parent. */
function birthOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') {
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    }
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold anything; after it come state (field 3) and, at 22, the ticks since boot.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? 'gone' : `${boot} ${fields[19]}`
  } catch {
    return undefined
  }
}

function busy(file: string, holder: LockHolder | undefined): RunError {
  const folder = dirname(file)
  if (!holder) {
    return new RunError('ERR_RUN_BUSY', `${folder}: its lock ${file} was taken away while it was held`, { file })
  }
  const { pid, host, since } = holder
  const own = pid === process.pid && host === hostname()
  const who = own ? 'this very process' : `process ${pid} on ${host}`
  const out = host === hostname() ? '' : `; if that process has ended, remove ${file}`
  return new RunError(
    'ERR_RUN_BUSY',
    `${folder}: is being written already (${who}, since ${since}): wait for it, or choose another place${out}`,
    { file, holder },
  )
}
