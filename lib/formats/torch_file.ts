/**
 * Reader and writer of the files of torch.save (`pytorch_adapter.bin` and relatives): a dictionary of tensors by name.
 *
 * Such a file holds a pickle, which is a program. The reader knows only what makes up tensors and refuses all else by
 * its name, as torch.load does with `weights_only=True`; every size and place is checked against the file, and values
 * are converted only when they are asked for.
 */

import { readFile } from 'node:fs/promises'
import { InteropError } from '../errors.js'
import { writeAtomic } from './atomic.js'
import type { FloatTensor } from './safetensors.js'
import { encodeTorch } from './torch/encode.js'
import { describe, type PickleValue } from './torch/pickle.js'
import { isPlainLayout, readPlainLayout } from './torch/plain_layout.js'
import { TorchTensor } from './torch/storage.js'
import { wrongTorchFile, type Wrong } from './torch/wrong.js'
import { isZipLayout, readZipLayout } from './torch/zip_layout.js'

export { encodeTorch } from './torch/encode.js'
export type { TorchTensor } from './torch/storage.js'

/** @throws InteropError ERR_TORCH_FILE */
export async function readTorchFile(file: string): Promise<ReadonlyMap<string, TorchTensor>> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    const message = `${file}: cannot be read: ${(cause as Error).message}`
    throw new InteropError('ERR_TORCH_FILE', message, { file }, { cause })
  })
  return decodeTorch(bytes, file)
}

/**
 * The tensors of a file by name; their values are views of its bytes until `floats()` copies them.
 * @param file its name, for messages
 * @throws InteropError ERR_TORCH_FILE with `details.global` or `details.opcode` where it holds more than tensors
 */
export function decodeTorch(bytes: Uint8Array, file: string): ReadonlyMap<string, TorchTensor> {
  const wrong = wrongTorchFile(file)
  const value = readLayout(bytes, wrong)
  if (!(value instanceof Map)) throw wrong('its pickle is no dictionary')
  const tensors = new Map<string, TorchTensor>()
  for (const [name, tensor] of value) {
    if (typeof name !== 'string') throw wrong(`a key ${describe(name)}, expected the name of a tensor`)
    if (!(tensor instanceof TorchTensor)) throw wrong(`${describe(name)} is no tensor`, { tensor: name })
    tensors.set(name, tensor)
  }
  return tensors
}

function readLayout(bytes: Uint8Array, wrong: Wrong): PickleValue {
  if (isZipLayout(bytes)) return readZipLayout(bytes, wrong)
  if (isPlainLayout(bytes)) return readPlainLayout(bytes, wrong)
  const start = Buffer.from(bytes.subarray(0, 24)).toString('latin1')
  if (start.startsWith('version https://git-lfs'))
    throw wrong('it is the pointer of git-lfs to the real file: fetch that by "git lfs pull"')
  throw wrong('it begins neither like a ZIP archive nor like a pickle of protocol 2')
}

/** Writes 32-bit floats as torch.save does; see writeAtomic. @param folder inside the archive */
export async function writeTorchFile(
  file: string,
  tensors: ReadonlyMap<string, FloatTensor>,
  folder: string,
): Promise<void> {
  await writeAtomic(file, ...encodeTorch(tensors, folder))
}
