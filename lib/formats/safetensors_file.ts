import { open, type FileHandle } from 'node:fs/promises'
import { RunError } from '../errors.js'
import { contentStart, decodeHeader, toFloats, type TensorPlace } from './safetensors.js'

/** Elements read at a time: 8 MB of 32-bit floats. */
const chunkElements = 2 ** 21

/** A safetensors file that is read tensor by tensor: only what is asked for is ever in memory. */
export class SafetensorsFile {
  readonly #handle: FileHandle
  /** Bytes before the first tensor. */
  readonly #start: number

  private constructor(
    readonly file: string,
    readonly tensors: ReadonlyMap<string, TensorPlace>,
    handle: FileHandle,
    start: number,
  ) {
    this.#handle = handle
    this.#start = start
  }

  /** Reads and checks the header. @throws RunError ERR_RUN_FILE */
  static async open(file: string): Promise<SafetensorsFile> {
    const handle = await open(file, 'r').catch((cause: unknown) => {
      throw unreadable(file, cause)
    })
    try {
      const { size } = await handle.stat()
      const start = contentStart(await readAt(handle, 0, Math.min(8, size), file), size, file)
      const { places } = decodeHeader(await readAt(handle, 8, start - 8, file), size - start, file)
      return new SafetensorsFile(file, places, handle, start)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /**
   * The values of a tensor as 32-bit floats, in order, a part at a time; half floats are widened.
   * @throws RunError ERR_RUN_FILE for a type that is not a float of at most 32 bits
   */
  async *floats(name: string): AsyncGenerator<Float32Array> {
    const { type, shape, first, last } = this.tensors.get(name)!
    const elements = shape.reduce((product, n) => product * n, 1)
    const width = (last - first) / Math.max(1, elements)
    for (let done = 0; done < elements; done += chunkElements) {
      const count = Math.min(chunkElements, elements - done)
      const bytes = await readAt(this.#handle, this.#start + first + done * width, count * width, this.file)
      yield toFloats(name, { type, shape, bytes })
    }
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

async function readAt(handle: FileHandle, position: number, length: number, file: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length;) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done).catch((cause: unknown) => {
      throw unreadable(file, cause)
    })
    if (bytesRead === 0) throw unreadable(file, new Error('the file became shorter while it was read'))
    done += bytesRead
  }
  return bytes
}

function unreadable(file: string, cause: unknown): RunError {
  return new RunError('ERR_RUN_FILE', `${file}: cannot be read: ${(cause as Error).message}`, { file }, { cause })
}
