/** A reader against thousands of damaged files: it reads or refuses them, quickly, and takes no memory that it need not. */
import type { ExecutionContext } from 'ava'
import { OnnxAdaptersError } from '../../lib/errors.js'
import { mutate } from './mutate_bytes.js'

/** Mutants per reader in an ordinary test; ONNX_ADAPTERS_FUZZ asks for another number. */
const usualCount = 3000

/** A file of a few hundred kB is read in some milliseconds: this is a hang, or nearly one. */
const longest = 2000

/** Node's own pool of small buffers, which grows now and then. */
const bufferAllowance = 64 * 2 ** 10

/** What JavaScript's own objects may take beside four times the file: garbage that waits to be collected is among it. */
const heapAllowance = 16 * 2 ** 20

export interface Fuzz {
  /** Whole files that the reader takes. */
  readonly samples: readonly Uint8Array[]
  /** Reads all that there is in a file, at once or by a promise: then the test must be serial. */
  readonly read: (bytes: Uint8Array) => unknown
  /** Codes of errors by which it may refuse a file. */
  readonly codes: readonly string[]
  readonly seed?: number
  /** Makes the file of a mutant: puts it where a checksum would else give it away. @default the mutant is the file */
  readonly wrap?: (mutant: Uint8Array) => Uint8Array
  /** Bytes of buffers that the reader always takes, however small the file. @default 0 */
  readonly buffers?: number
}

/** @returns how many mutants were read and how many refused */
export async function fuzz(
  t: ExecutionContext,
  { samples, read, codes, seed = 1, wrap = (mutant) => mutant, buffers = 0 }: Fuzz,
): Promise<{ read: number; refused: number }> {
  t.timeout(3 * 3_600_000)
  for (const [i, sample] of samples.entries())
    await t.notThrowsAsync(async () => void (await read(wrap(sample))), `sample ${i}`)
  const counts = { read: 0, refused: 0 }
  const count = Number(process.env['ONNX_ADAPTERS_FUZZ'] ?? usualCount)
  for (const { bytes: mutant, what } of mutate(samples, count, seed)) {
    const bytes = wrap(mutant)
    const before = process.memoryUsage()
    const started = performance.now()
    let result: unknown
    try {
      const answer = read(bytes)
      // Between promises other tests would run, and take memory.
      result = answer instanceof Promise ? await answer : answer
      counts.read++
    } catch (error) {
      const known = error instanceof OnnxAdaptersError && codes.includes(error.code)
      if (!known) t.fail(`${what}: ${error instanceof Error ? error.stack : String(error)}`)
      counts.refused++
    }
    const spent = performance.now() - started
    const after = process.memoryUsage()
    const grown = after.arrayBuffers - before.arrayBuffers
    const heap = after.heapUsed - before.heapUsed
    if (spent > longest) t.fail(`${what}: took ${Math.round(spent)} ms`)
    if (grown > 4 * bytes.length + bufferAllowance + buffers)
      t.fail(`${what}: ${grown} bytes of buffers for a file of ${bytes.length}`)
    if (heap > 4 * bytes.length + heapAllowance) t.fail(`${what}: ${heap} bytes for a file of ${bytes.length}`)
    // Kept until memory has been looked at.
    void result
  }
  return counts
}
