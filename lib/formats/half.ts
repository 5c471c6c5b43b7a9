/** The value of an IEEE 754 half float, from its 16 bits. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const words = new Uint32Array(1)
const float = new Float32Array(words.buffer)

/** The 16 bits of the half float nearest to a value, ties to even; beyond the largest one, infinity. */
export function floatToHalf(value: number): number {
  float[0] = value
  const bits = words[0]!
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  // Below the least normal half, steps are of 2^-24: the sum rounds as the processor does.
  if (magnitude < 0x38800000) {
    float[0] = Math.abs(value)
    float[0] = float[0]! + 0.5
    return sign | (words[0]! - 0x3f000000)
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
  return sign | ((rounded - 0x38000000) >>> 13)
}
