import { BackboneError } from '../errors.js'
import { bringBackbone, findCached, type FetchOptions } from './fetch.js'
import { kindOf } from './kind.js'
import { parseName } from './names.js'
import { resolveBackbone, type BackboneFiles } from './resolve.js'

/**
 * Finds the files of a backbone: at a path, else in the cache, else brought there.
 * @throws OnnxImportError ERR_ONNX_MISSING where it is neither a path nor a name; BackboneError ERR_BACKBONE_*
 */
export async function locateBackbone(text: string, options: FetchOptions = {}): Promise<BackboneFiles> {
  const name = parseName(text)
  // What lies here is meant, whatever it is called.
  if (!name || (await kindOf(text))) return resolveBackbone(text)
  const cached = await findCached(name)
  if (!cached && name.kind === 'own') return resolveBackbone(text)
  const { onProgress, signal } = options
  const found =
    cached ??
    (await bringBackbone(name, { onProgress, signal }).catch((error: unknown) => {
      throw explain(error, text)
    }))
  // Runs name a backbone by this, and find it again by it.
  return { ...(await resolveBackbone(found.folder)), name: found.name }
}

/** A name that cannot be had may be a path that was misspelt. */
function explain(error: unknown, text: string): unknown {
  if (!(error instanceof BackboneError)) return error
  const { code, message, details } = error
  return new BackboneError(
    code,
    `"${text}" is no folder or file here, and could not be brought: ${message}`,
    { name: text, ...details },
    { cause: error },
  )
}
