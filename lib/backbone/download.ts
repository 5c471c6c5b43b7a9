/** One file, brought over a connection that may break: to a temporary name, continued, checked, renamed. */

import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BackboneError } from '../errors.js'
import { writeAt } from '../formats/atomic.js'
import { makeFolder } from '../formats/folder.js'
import { isStorageError } from './storage.js'

/** A file as its publisher describes it. */
export interface RemoteFile {
  /** In its repository; for messages. */
  readonly path: string
  readonly bytes: number
  /** In hexadecimal; where it is not known, the hash that git has for it. */
  readonly sha256?: string | undefined
  /** sha1 of the git object, in hexadecimal. */
  readonly gitHash?: string | undefined
}

export interface DownloadOptions {
  /** The bytes from a place on; may give fewer than there are, where the connection breaks. */
  readonly read: (start: number) => AsyncIterable<Uint8Array>
  /** Called with the bytes that are here. */
  readonly onBytes?: (done: number) => void
  readonly signal?: AbortSignal | undefined
  /** Before the first try after a failure, doubled for each one after it, in milliseconds. @default 500 */
  readonly retryAfter?: number
}

/** Tries in a row that bring nothing. */
const mostTries = 4
/** Tries at all: a connection that breaks more often is none. */
const mostBreaks = 100

/** Asked for a part, the server sent the whole. */
export class RangeIgnored extends Error {}

/**
 * Brings a file, unless it is there. What an earlier try left is continued; the whole is compared with the hash that its publisher gives,
 * and only then has its name.
 * @returns sha256 of the file, in hexadecimal
 * @throws BackboneError ERR_BACKBONE_CHECKSUM, and the last failure where no try brings anything any more
 */
export async function downloadFile(file: RemoteFile, target: string, options: DownloadOptions): Promise<string> {
  await makeFolder(dirname(target))
  if ((await sizeOf(target)) === file.bytes) {
    const digest = await digestFile(target, file.bytes).catch(() => undefined)
    if (digest && isRight(file, digest)) return digest.sha256
  }
  // The name holds the hash: what is left of another version is not continued.
  const partial = `${target}.${(file.sha256 ?? file.gitHash ?? String(file.bytes)).slice(0, 16)}.partial`
  const start = await sizeOf(partial)
  if (start > file.bytes) await rm(partial, { force: true })
  await bringBytes(file, partial, options)
  let digest = await digestFile(partial, file.bytes)
  if (start > 0 && !isRight(file, digest)) {
    // The part from an earlier try may be what is wrong.
    await rm(partial, { force: true })
    await bringBytes(file, partial, options)
    digest = await digestFile(partial, file.bytes)
  }
  if (!isRight(file, digest)) {
    await rm(partial, { force: true })
    const [kind, found, expected] = file.sha256
      ? ['sha256', digest.sha256, file.sha256]
      : ['git hash', digest.gitHash, file.gitHash]
    throw new BackboneError(
      'ERR_BACKBONE_CHECKSUM',
      `${file.path}: what came has another ${kind} (${found}) than was published (${expected}); it is not used. Try again, or check what stands between here and the hub`,
      { file: file.path, found, expected },
    )
  }
  await rename(partial, target)
  return digest.sha256
}

/** Appends to the partial file until it is as long as it should be. */
async function bringBytes(file: RemoteFile, partial: string, options: DownloadOptions): Promise<void> {
  const { read, onBytes = () => {}, signal, retryAfter = 500 } = options
  for (let failures = 0, breaks = 0; ;) {
    let done = await sizeOf(partial)
    onBytes(done)
    if (done >= file.bytes) break
    const before = done
    try {
      const handle = await open(partial, done === 0 ? 'w' : 'r+')
      try {
        for await (const part of read(done)) {
          if (done + part.length > file.bytes) throw tooLong(file)
          await writeAt(handle, part, done)
          done += part.length
          onBytes(done)
        }
        await handle.sync()
      } finally {
        await handle.close()
      }
      if (done < file.bytes) throw cutShort(file, done)
    } catch (error) {
      signal?.throwIfAborted()
      if (isStorageError(error) || isFinal(error)) throw error
      if (error instanceof RangeIgnored) await rm(partial, { force: true })
      failures = done > before ? 1 : failures + 1
      if (failures >= mostTries || ++breaks >= mostBreaks) throw error
      await sleep(retryAfter * 2 ** (failures - 1), undefined, { ...(signal ? { signal } : {}) })
    }
  }
  // An empty file has no byte to ask for.
  if (file.bytes === 0) await (await open(partial, 'w')).close()
}

function cutShort(file: RemoteFile, done: number): BackboneError {
  const message = `${file.path}: the connection ended at byte ${done} of ${file.bytes}; what is here is kept: try again to go on`
  return new BackboneError('ERR_BACKBONE_INCOMPLETE', message, { file: file.path, found: done, expected: file.bytes })
}

function tooLong(file: RemoteFile): BackboneError {
  const message = `${file.path}: more than the ${file.bytes} bytes that were published came; it is not used`
  return new BackboneError('ERR_BACKBONE_CHECKSUM', message, { file: file.path, expected: file.bytes })
}

/** No second try gives another answer. */
function isFinal(error: unknown): boolean {
  const finals = ['ERR_BACKBONE_DENIED', 'ERR_BACKBONE_NOT_FOUND', 'ERR_BACKBONE_CHECKSUM']
  return error instanceof BackboneError && finals.includes(error.code)
}

interface Digest {
  readonly sha256: string
  readonly gitHash: string
}

function isRight(file: RemoteFile, { sha256, gitHash }: Digest): boolean {
  return file.sha256 ? sha256 === file.sha256 : !file.gitHash || gitHash === file.gitHash
}

/** Both hashes of a file that is `bytes` long. */
async function digestFile(path: string, bytes: number): Promise<Digest> {
  const sha256 = createHash('sha256')
  const git: Hash = createHash('sha1').update(`blob ${bytes}\0`)
  for await (const part of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    sha256.update(part as Buffer)
    git.update(part as Buffer)
  }
  return { sha256: sha256.digest('hex'), gitHash: git.digest('hex') }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}
