import { BackboneError } from '../errors.js'

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'it may not be written',
  EPERM: 'it may not be written',
  EROFS: 'it is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'a part of its path is a file',
  EEXIST: 'a part of its path is a file',
  ENOTEMPTY: 'a folder of that name holds other files',
  EIO: 'the disk does not answer',
}

/** The system's code of a failure of the disk, if it is one: those of sockets have no path. */
function storageCode(error: unknown): string | undefined {
  const { code, syscall, path, details } = (error ?? {}) as NodeJS.ErrnoException & { details?: { reason?: unknown } }
  if (code === 'ERR_RUN_WRITE') return String(details?.reason)
  const ofFile = path !== undefined || syscall === 'write' || syscall === 'fsync'
  return ofFile && code !== undefined && Object.hasOwn(reasons, code) ? code : undefined
}

export function isStorageError(error: unknown): error is Error {
  return storageCode(error) !== undefined
}

/** A failure of the disk as an error that says what to do. */
export function cacheError(error: Error, cache: string): BackboneError {
  const code = storageCode(error) ?? ''
  return new BackboneError(
    'ERR_BACKBONE_CACHE',
    `the cache ${cache} cannot be used: ${reasons[code] ?? ''} (${error.message}); ` +
      'set ONNX_ADAPTERS_CACHE to a folder that can be written and has room',
    { folder: cache, reason: code },
    { cause: error },
  )
}
