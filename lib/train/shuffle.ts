import { philox } from '../adapters/philox.js'

/** Keeps these numbers apart from those of dropout and initial weights, which use small stream numbers. */
const stream = 0x5f0f_f1e5

/**
 * The order of the rows in an epoch: a permutation of 0..rows-1 that depends on seed and epoch alone.
 * @param seed whole number of at least 0
 */
export function shuffled(rows: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: rows }, (_, i) => i)
  const key = [seed >>> 0, Math.floor(seed / 0x1_0000_0000) >>> 0] as const
  for (let i = rows - 1; i > 0; i--) {
    const [word] = philox([i, epoch, 0, stream], key)
    const j = Math.floor((word * (i + 1)) / 0x1_0000_0000)
    const kept = order[i]!
    order[i] = order[j]!
    order[j] = kept
  }
  return order
}
