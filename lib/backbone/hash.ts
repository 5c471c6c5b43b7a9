import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { decodeModel } from '../onnx/read.js'
import { externalLocations } from './reference.js'

/** sha256 over files, one after the other, in hexadecimal. */
export async function hashFiles(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files)
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** sha256 over a model and the files that hold its tensors: what a run names its backbone by. */
export async function hashModel(file: string): Promise<string> {
  const model = decodeModel(await readFile(file), file)
  return hashFiles([file, ...externalLocations(model).map((location) => join(dirname(file), location))])
}
