import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { externalFiles } from '../onnx/external.js'
import { decodeModel } from '../onnx/read.js'

/** sha256 over files, one after the other, in hexadecimal; of files that were read already, their bytes may be given. */
export async function hashFiles(files: readonly (string | Uint8Array)[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) {
    if (typeof file !== 'string') hash.update(file)
    else for await (const part of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(part as Buffer)
  }
  return hash.digest('hex')
}

/** sha256 over a model and the files that hold its tensors: what a run names its backbone by. */
export async function hashModel(file: string): Promise<string> {
  const bytes = await readFile(file)
  const external = await externalFiles(decodeModel(bytes, file), file)
  // Files with tensors may be large: they are hashed as they are read, never held.
  return hashFiles([bytes, ...external.map(({ path }) => path)])
}
