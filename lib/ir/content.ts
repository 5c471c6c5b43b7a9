import { halfToFloat } from '../formats/half.js'
import type { TensorPart, Value } from './graph.js'

/** A part's content as f32 in its logical layout, [rows, columns] as the public name promises; always a copy. */
export function partContent(part: TensorPart): Float32Array {
  const floats = part.data instanceof Uint16Array ? halvesToFloats(part.data) : part.data
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

/** Half floats, as bits, to f32, exactly: subnormals, infinities and NaN too. */
export function halvesToFloats(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, halfToFloat)
}
