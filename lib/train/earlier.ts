import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { RunError } from '../errors.js'
import { readCheckpoint, type Checkpoint } from './checkpoint.js'
import type { RunIdentity } from './identity.js'
import { readRecord, runFiles, type RunRecord } from './run.js'

/** What an earlier process has left in the folder of a run. */
export interface Earlier {
  readonly identity: RunIdentity
  readonly record?: RunRecord
  /** Absent where it was stopped before the first one, and of a finished run. */
  readonly checkpoint?: Checkpoint
}

/**
 * Looks for a run to go on with.
 * @returns undefined where there is none
 * @throws RunError ERR_RUN_RECORD, ERR_RUN_FILE for files that cannot be read; ERR_RUN_CHANGED where they are of
 * different runs
 */
export async function readProgress(folder: string): Promise<Earlier | undefined> {
  const has = (name: string) => existsSync(join(folder, name))
  const record = has(runFiles.record) ? await readRecord(folder) : undefined
  const isOpen = record?.status !== 'complete'
  const checkpoint = isOpen && has(runFiles.checkpoint) ? await readCheckpoint(folder) : undefined
  if (record && checkpoint && !isDeepStrictEqual(identityOf(record), checkpoint.identity)) {
    const file = join(folder, runFiles.checkpoint)
    throw new RunError('ERR_RUN_CHANGED', `${file}: belongs to another run than the ${runFiles.record} beside it`, {
      file,
    })
  }
  const identity = checkpoint?.identity ?? (record && identityOf(record))
  return identity && { identity, record, checkpoint }
}

function identityOf({ backbone, task, options, data }: RunRecord): RunIdentity {
  return { backbone: backbone.sha256, task, options, data }
}
