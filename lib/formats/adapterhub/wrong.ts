import { InteropError } from '../../errors.js'
import { show } from '../../options.js'

/** Of a folder that asks for what the engine does not do. @param key of the file's JSON, or the name of a tensor */
export function unsupported(file: string, key: string, found: unknown, expected: string): InteropError {
  return new InteropError(
    'ERR_INTEROP_UNSUPPORTED',
    `${file}: "${key}" is ${show(found)}, which is not supported: expected ${expected}`,
    { file, key, found, expected },
  )
}

/** Of a folder that contradicts itself, or the format. */
export function invalid(file: string, key: string, message: string, details: object = {}): InteropError {
  return new InteropError('ERR_INTEROP_FILE', `${file}: ${message}`, { file, key, ...details })
}
