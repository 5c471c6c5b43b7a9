import { BackboneError } from '../errors.js'
import { describeCode } from '../formats/system_codes.js'

/** The system's code of a failure of the disk, if it is one: those of sockets have no path. */
function storageCode(error: unknown): string | undefined {
  const { code, syscall, path, details } = (error ?? {}) as NodeJS.ErrnoException & { details?: { reason?: unknown } }
  if (code === 'ERR_RUN_WRITE') return String(details?.reason)
  const ofFile = path !== undefined || syscall === 'write' || syscall === 'fsync'
  // A file that is not there says nothing of the disk.
  return ofFile && code !== 'ENOENT' && describeCode(code) ? code : undefined
}

export function isStorageError(error: unknown): error is Error {
  return storageCode(error) !== undefined
}

/** A failure of the disk as an error that says what to do. */
export function cacheError(error: Error, cache: string): BackboneError {
  const code = storageCode(error) ?? ''
  return new BackboneError(
    'ERR_BACKBONE_CACHE',
    `the cache ${cache} cannot be used: ${describeCode(code) ?? code}: ${error.message}; ` +
      'set ONNX_ADAPTERS_CACHE to a folder that can be written and has room',
    { folder: cache, reason: code },
    { cause: error },
  )
}
