import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readModelFile } from '../onnx/read.js'

/** sha256 over files, one after the other, in hexadecimal; of files that were read already, their bytes may be given. */
export async function hashFiles(files: readonly (string | Uint8Array)[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) {
    if (typeof file !== 'string') hash.update(file)
    else for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer)
  }
  return hash.digest('hex')
}

/** sha256 over a model and the files that hold its tensors: what a run names its backbone by. */
export async function hashModel(file: string): Promise<string> {
  const { bytes, external } = await readModelFile(file)
  return hashFiles([bytes, ...external])
}
