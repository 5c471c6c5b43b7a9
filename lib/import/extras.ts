import { join } from 'node:path'
import type { Backbone } from '../backbone/backbone.js'
import { InteropError } from '../errors.js'
import { isJson, type Json } from '../formats/adapterhub/config.js'
import { hubFiles, readJsonFile } from '../formats/adapterhub/folder.js'

/** What an export of ours says beside the files of the other library. */
export interface Extras {
  readonly task: Json
  readonly options: Json
  readonly metrics?: unknown
}

/**
 * Undefined for files that we have not written.
 * @throws InteropError ERR_INTEROP_FILE, and ERR_INTEROP_BACKBONE where it says another backbone
 */
export async function readExtras(path: string, backbone: Backbone, anyBackbone: boolean): Promise<Extras | undefined> {
  const file = join(path, hubFiles.extras)
  const root = await readJsonFile(file)
  if (!root) return undefined
  const { format, task, options, backbone: recorded, metrics } = root
  if (format !== 1 || !isJson(task) || !isJson(options) || !isJson(recorded))
    throw new InteropError('ERR_INTEROP_FILE', `${file}: not a file that this version can read`, { file })
  const { sha256, name } = recorded
  if (sha256 !== backbone.sha256 && !anyBackbone) {
    throw new InteropError(
      'ERR_INTEROP_BACKBONE',
      `${file}: it was trained on the backbone "${String(name)}" (sha256 ${String(sha256)}), but ${backbone.file} is ` +
        `another file (sha256 ${backbone.sha256}); if its weights are the same, say so by option "anyBackbone"`,
      { file, found: backbone.sha256, expected: sha256 },
    )
  }
  return { task, options, ...(metrics === undefined ? {} : { metrics }) }
}
