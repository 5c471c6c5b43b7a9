/** Seeded numbers for tests: the same on every machine. */

/** SplitMix-style 32-bit generator (mulberry32): uniform in [0, 1). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Seed of a name, so that every operand of every case has numbers of its own (FNV-1a). */
export function seedOf(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

/** Normal numbers (Box & Muller 1958), rounded to f32. */
export function normal(name: string, count: number, deviation = 1, mean = 0): Float32Array {
  const next = uniform(seedOf(name))
  return Float32Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - next()))
    return mean + deviation * radius * Math.cos(2 * Math.PI * next())
  })
}

/** Whole numbers in [low, high]. */
export function integers(name: string, count: number, low: number, high: number): Int32Array {
  const next = uniform(seedOf(name))
  return Int32Array.from({ length: count }, () => low + Math.floor(next() * (high - low + 1)))
}
