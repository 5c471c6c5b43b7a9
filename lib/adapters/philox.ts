/**
 * Philox4x32-10 (Salmon et al. 2011, table 2): four random 32-bit words from a counter and a key, with no state. The
 * same function as in the native kernels, so that a run is a function of its seed alone.
 */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter
  let [k0, k1] = key
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0)
    const high1 = multiplyHigh(0xcd9e8d57, c2)
    const low0 = Math.imul(0xd2511f53, c0) >>> 0
    const low1 = Math.imul(0xcd9e8d57, c2) >>> 0
    const before = c1
    c0 = (high1 ^ before ^ k0) >>> 0
    c1 = low1
    c2 = (high0 ^ c3 ^ k1) >>> 0
    c3 = low0
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  return [c0, c1, c2, c3]
}

/** The high word of the 64-bit product of two 32-bit words, in 16-bit pieces that doubles hold exactly. */
function multiplyHigh(a: number, b: number): number {
  const [ah, al, bh, bl] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff]
  const middle = ah * bl + al * bh + Math.floor((al * bl) / 0x10000)
  return (ah * bh + Math.floor(middle / 0x10000)) >>> 0
}
