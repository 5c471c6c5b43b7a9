import { BackboneError } from '../errors.js'

const codes = new Set(['EACCES', 'EDQUOT', 'EEXIST', 'EIO', 'EISDIR', 'EMFILE', 'ENOSPC', 'ENOTDIR', 'EPERM', 'EROFS'])

/** True for a failure of the disk, not of the network. */
export function isStorageError(error: unknown): error is NodeJS.ErrnoException {
  const { code, syscall, path } = (error ?? {}) as NodeJS.ErrnoException
  const ofFile = path !== undefined || syscall === 'write' || syscall === 'fsync'
  return typeof code === 'string' && codes.has(code) && ofFile
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'it may not be written',
  EPERM: 'it may not be written',
  EROFS: 'it is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'it is not a folder',
}

/** A failure of the disk as an error that says what to do. */
export function cacheError(error: NodeJS.ErrnoException, cache: string): BackboneError {
  const code = error.code ?? ''
  return new BackboneError(
    'ERR_BACKBONE_CACHE',
    `the cache ${cache} cannot be used: ${reasons[code] ?? error.message} (${code}); ` +
      'set ONNX_ADAPTERS_CACHE to a folder that can be written and has room',
    { folder: cache, file: error.path, reason: code },
    { cause: error },
  )
}
