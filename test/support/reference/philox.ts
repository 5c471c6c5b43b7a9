/**
 * Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") and the dropout masks made of it.
 */
import type { Scalars } from './types.js'

const multipliers = [0xd2511f53n, 0xcd9e8d57n] as const
const weyl = [0x9e3779b9, 0xbb67ae85] as const

export type Words4 = readonly [number, number, number, number]

/** Ten rounds of the counter-based generator: four 32-bit words for a counter and a key. */
export function philox4x32(counter: Words4, key: readonly [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter
  let [k0, k1] = key
  for (let round = 0; round < 10; round++) {
    const left = multipliers[0] * BigInt(c0)
    const right = multipliers[1] * BigInt(c2)
    const next: Words4 = [
      (Number(right >> 32n) ^ c1 ^ k0) >>> 0,
      Number(right & 0xffffffffn),
      (Number(left >> 32n) ^ c3 ^ k1) >>> 0,
      Number(left & 0xffffffffn),
    ]
    ;[c0, c1, c2, c3] = next
    k0 = (k0 + weyl[0]) >>> 0
    k1 = (k1 + weyl[1]) >>> 0
  }
  return [c0, c1, c2, c3]
}

export interface Dropout {
  readonly p: number
  /** The op's stable number; 0 draws nothing. */
  readonly rng: number
  readonly scalars: Scalars
  /** 0 for hidden states; row · H + head for attention probabilities. */
  readonly stream: number
}

/** Multiplier of one element: 0, or 1/(1-p). */
export function dropoutScale(dropout: Dropout, element: number): number {
  const { p, rng, scalars, stream } = dropout
  if (p === 0) return 1
  const key = [Number(scalars.seed & 0xffffffffn), Number(scalars.seed >> 32n)] as const
  const words = philox4x32([Math.floor(element / 4) >>> 0, scalars.step, rng, stream], key)
  return words[element % 4]! >= Math.floor(p * 2 ** 32) ? 1 / (1 - p) : 0
}
