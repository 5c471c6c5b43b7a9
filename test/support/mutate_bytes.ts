/** Damaged files for readers that must refuse them: the same for the same seed, on every machine. */
import { uniform } from './random.js'

export interface Mutant {
  readonly bytes: Uint8Array
  /** What was done to which sample, for messages: with the seed enough to make it again. */
  readonly what: string
}

/** Whole numbers in [0, n). */
type Draw = (n: number) => number

/** Changes some bytes; the sample itself stays. @param others for parts of other files */
type Mutation = (bytes: Uint8Array, draw: Draw, others: readonly Uint8Array[]) => Uint8Array

/** Values at the edges of what lengths, sizes and offsets may be. */
const edges = [0n, 1n, 127n, 128n, 255n, 0x7fffn, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn, 2n ** 53n]

const mutations: Readonly<Record<string, Mutation>> = {
  'flip a bit': (bytes, draw) => edited(bytes, (copy) => (copy[draw(copy.length)]! ^= 1 << draw(8))),
  'flip some bits': (bytes, draw) =>
    edited(bytes, (copy) => {
      for (let left = 2 + draw(30); left > 0; left--) copy[draw(copy.length)]! ^= 1 << draw(8)
    }),
  'set a byte': (bytes, draw) => edited(bytes, (copy) => (copy[draw(copy.length)] = draw(256))),
  truncate: (bytes, draw) => bytes.slice(0, draw(bytes.length)),
  'cut the start': (bytes, draw) => bytes.slice(draw(Math.min(64, bytes.length))),
  append: (bytes, draw) =>
    joined(
      bytes,
      Uint8Array.from({ length: 1 + draw(64) }, () => draw(256)),
    ),
  'remove a part': (bytes, draw) => {
    const [first, last] = range(bytes, draw)
    return joined(bytes.subarray(0, first), bytes.subarray(last))
  },
  'repeat a part': (bytes, draw) => {
    const [first, last] = range(bytes, draw)
    return joined(bytes.subarray(0, last), bytes.subarray(first))
  },
  'copy a part over another': (bytes, draw) => {
    const [first, last] = range(bytes, draw)
    return edited(bytes, (copy) => copy.copyWithin(draw(copy.length), first, last))
  },
  'put in a part of another file': (bytes, draw, others) => {
    const other = others[draw(others.length)]!
    const [first, last] = range(other, draw)
    const at = draw(bytes.length)
    return joined(bytes.subarray(0, at), other.subarray(first, last), bytes.subarray(at + draw(2) * (last - first)))
  },
  'an edge value as a number': (bytes, draw) =>
    edited(bytes, (copy) => putNumber(copy, draw(copy.length), [1, 2, 4, 8][draw(4)]!, edges[draw(edges.length)]!)),
  'enlarge what looks like a length': (bytes, draw) =>
    edited(bytes, (copy) => {
      const at = findLength(copy, draw)
      const value = BigInt(new DataView(copy.buffer).getUint32(at, true))
      putNumber(copy, at, 4, [value + 1n, value * 2n, value * 1000n, value - 1n, -value][draw(5)]!)
    }),
  'enlarge a varint': (bytes, draw) =>
    edited(bytes, (copy) => {
      const at = draw(copy.length)
      for (let i = 0; i <= draw(9) && at + i < copy.length; i++) copy[at + i]! |= 0x80
    }),
  'change digits': (bytes, draw) =>
    edited(bytes, (copy) => {
      let at = draw(copy.length)
      while (at < copy.length && !isDigit(copy[at]!)) at++
      for (; at < copy.length && isDigit(copy[at]!); at++) copy[at] = 0x30 + draw(10)
    }),
}

/**
 * @param samples whole files, each of at least 8 bytes
 * @param count mutants; one of two has been damaged more than once
 */
export function* mutate(samples: readonly Uint8Array[], count: number, seed: number): Generator<Mutant> {
  const next = uniform(seed)
  const draw: Draw = (n) => Math.floor(next() * n)
  const names = Object.keys(mutations)
  for (let number = 0; number < count; number++) {
    const sample = draw(samples.length)
    let bytes = samples[sample]!
    const done: string[] = []
    for (let left = draw(2) === 0 ? 1 : 1 + draw(4); left > 0 && bytes.length >= 8; left--) {
      const name = names[draw(names.length)]!
      bytes = mutations[name]!(bytes, draw, samples)
      done.push(name)
    }
    yield { bytes, what: `mutant ${number} of seed ${seed}, of sample ${sample}: ${done.join(', ')}` }
  }
}

function edited(bytes: Uint8Array, change: (copy: Uint8Array<ArrayBuffer>) => void): Uint8Array {
  const copy = Uint8Array.from(bytes)
  change(copy)
  return copy
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** A part of the bytes, more often a short one. */
function range(bytes: Uint8Array, draw: Draw): [number, number] {
  const first = draw(bytes.length)
  const longest = Math.min(bytes.length - first, [4, 16, 256, 65_536][draw(4)]!)
  return [first, first + 1 + draw(longest)]
}

function putNumber(bytes: Uint8Array, at: number, width: number, value: bigint): void {
  let rest = BigInt.asUintN(64, value)
  for (let i = 0; i < width && at + i < bytes.length; i++) {
    bytes[at + i] = Number(rest & 255n)
    rest >>= 8n
  }
}

/** Where four bytes make a number that is not zero and not above the size of the file; else anywhere. */
function findLength(bytes: Uint8Array<ArrayBuffer>, draw: Draw): number {
  const view = new DataView(bytes.buffer)
  const start = draw(bytes.length - 4)
  for (let at = start; at + 4 <= bytes.length && at < start + 4096; at++) {
    const value = view.getUint32(at, true)
    if (value > 0 && value <= bytes.length) return at
  }
  return start
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}
