import type { TensorPart, Value } from './graph.js'

/** A part's content as f32 in its logical layout, [rows, columns] as the public name promises; always a copy. */
export function partContent(part: TensorPart): Float32Array {
  const floats = part.data instanceof Uint16Array ? halfToFloat(part.data) : part.data
  if (!part.transposed || part.shape.length !== 2) return Float32Array.from(floats)
  const [rows, columns] = part.shape as [number, number]
  const content = new Float32Array(rows * columns)
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) content[r * columns + c] = floats[c * rows + r]!
  }
  return content
}

/** All parts of a value one after the other. */
export function valueContent(value: Value): Float32Array {
  const parts = (value.parts ?? []).map(partContent)
  const content = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    content.set(part, offset)
    offset += part.length
  }
  return content
}

/** IEEE 754 binary16 bits to f32, exactly: subnormals, infinities and NaN too. */
export function halfToFloat(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, (half) => {
    const sign = half & 0x8000 ? -1 : 1
    const exponent = (half >> 10) & 31
    const fraction = half & 1023
    if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
  })
}
