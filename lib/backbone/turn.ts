import { setTimeout as sleep } from 'node:timers/promises'
import { BackboneError } from '../errors.js'
import { acquireLock, type Lock } from '../formats/lock.js'

export interface TurnOptions {
  /** Called once where another process is at it. */
  readonly onWait: () => void
  readonly signal?: AbortSignal | undefined
  /** Longest wait, in milliseconds. @default 30 minutes */
  readonly patience?: number
}

/** Between two looks at a lock that another holds, in milliseconds. */
const lookEvery = 300

/**
 * Runs the work while no other process, and no other call in this one, does the same; waits for its turn.
 * @throws BackboneError ERR_BACKBONE_BUSY where the turn does not come
 */
export async function takeTurn<T>(file: string, work: () => Promise<T>, options: TurnOptions): Promise<T> {
  const lock = await waitForLock(file, options)
  try {
    return await work()
  } finally {
    await lock.release()
  }
}

async function waitForLock(file: string, { onWait, signal, patience = 1_800_000 }: TurnOptions): Promise<Lock> {
  const end = Date.now() + patience
  for (let waited = false; ;) {
    try {
      return await acquireLock(file)
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ERR_RUN_BUSY') throw error
      if (Date.now() > end) {
        const message = `another process has been bringing the same backbone for too long; if it has ended, remove ${file}`
        throw new BackboneError('ERR_BACKBONE_BUSY', message, { file }, { cause: error })
      }
      if (!waited) onWait()
      waited = true
      await sleep(lookEvery, undefined, { ...(signal ? { signal } : {}) })
    }
  }
}
