import { elementBytes, type Dim, type Value } from '../ir/graph.js'
import type { Lifetime } from './lifetimes.js'

/** The most tokens and sequences a plan has room for. */
export interface Capacity {
  readonly tokens: number
  readonly sequences: number
}

export interface ArenaPlan {
  /** Byte offset of every activation, a multiple of 64. */
  readonly offsets: ReadonlyMap<Value, number>
  /** Bytes of the arena. */
  readonly bytes: number
  /** Most bytes alive at once: no arena can be smaller. */
  readonly lowerBound: number
}

const alignment = 64

/**
 * Places lifetimes in one arena so that no two that overlap in time overlap in memory. Largest first, each into the
 * smallest gap that fits among those already placed: the greedy-by-size rule of Pisarchyk & Lee 2020 (§5.2), whose
 * result is usually within a few percent of the bound.
 * @param guard bytes, whole lines, that stay free behind each piece while it is alive
 */
export function planArena(lifetimes: readonly Lifetime[], capacity: Capacity, guard = 0): ArenaPlan {
  const pieces = lifetimes.map((lifetime) => ({
    lifetime,
    bytes: Math.max(...lifetime.values.map((v) => alignedBytes(v, capacity))) + guard,
    offset: 0,
  }))
  const order = [...pieces].sort((a, b) => b.bytes - a.bytes || a.lifetime.first - b.lifetime.first)
  const placed: typeof pieces = []
  for (const piece of order) {
    const neighbours = placed
      .filter((other) => overlaps(piece.lifetime, other.lifetime))
      .sort((a, b) => a.offset - b.offset)
    piece.offset = bestGap(piece.bytes, neighbours)
    placed.push(piece)
  }
  const offsets = new Map<Value, number>()
  for (const { lifetime, offset } of pieces) for (const value of lifetime.values) offsets.set(value, offset)
  return {
    offsets,
    bytes: Math.max(0, ...pieces.map((piece) => piece.offset + piece.bytes)),
    lowerBound: mostAlive(pieces),
  }
}

/** Bytes of a value at capacity, rounded up to the alignment. */
export function alignedBytes(value: Value, capacity: Capacity): number {
  const elements = value.shape.reduce<number>((product, dim) => product * bind(dim, capacity), 1)
  return Math.max(1, Math.ceil((elementBytes[value.dtype] * elements) / alignment)) * alignment
}

export function bind(dim: Dim, { tokens, sequences }: Capacity): number {
  switch (dim) {
    case 'T':
      return tokens
    case 'B':
      return sequences
    case 'B+1':
      return sequences + 1
    default:
      return dim
  }
}

function overlaps(a: Lifetime, b: Lifetime): boolean {
  return a.first <= b.last && b.first <= a.last
}

/** Offset of the smallest gap of at least `bytes` between pieces sorted by offset; their end if there is none. */
function bestGap(bytes: number, sorted: readonly { readonly offset: number; readonly bytes: number }[]): number {
  let end = 0
  let best: { readonly offset: number; readonly size: number } | undefined
  for (const piece of sorted) {
    const size = piece.offset - end
    if (size >= bytes && (!best || size < best.size)) best = { offset: end, size }
    end = Math.max(end, piece.offset + piece.bytes)
  }
  return best?.offset ?? end
}

function mostAlive(pieces: readonly { readonly lifetime: Lifetime; readonly bytes: number }[]): number {
  const change = new Map<number, number>()
  for (const { lifetime, bytes } of pieces) {
    change.set(lifetime.first, (change.get(lifetime.first) ?? 0) + bytes)
    change.set(lifetime.last + 1, (change.get(lifetime.last + 1) ?? 0) - bytes)
  }
  let alive = 0
  let most = 0
  for (const [, delta] of [...change].sort(([a], [b]) => a - b)) most = Math.max(most, (alive += delta))
  return most
}
