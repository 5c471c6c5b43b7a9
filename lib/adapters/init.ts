import { philox } from './philox.js'

/** How a new tensor starts. */
export type Initial =
  | { readonly kind: 'zero' }
  /** Normal, mean 0, cut (not clamped) at two standard deviations: Houlsby et al. 2019 §2.1 and section 3. */
  | { readonly kind: 'truncatedNormal'; readonly std: number }

/** Standard deviation of a new head's weights, as in google-research/bert. */
export const headStd = 0.02

/**
 * Content of a new tensor: a function of seed, tensor name and element alone, so one tensor's values do not depend on
 * which others exist, or on their order.
 */
export function initialData(name: string, elements: number, initial: Initial, seed: number): Float32Array {
  const data = new Float32Array(elements)
  if (initial.kind === 'zero' || initial.std === 0) return data
  const key = seedWords(seed)
  const [name0, name1] = [hash(name, 0x811c9dc5), hash(name, 0x050c5d1f)]
  for (let i = 0; i < elements; i += 4) {
    const words = philox([i / 4, name0, name1, 0x696e6974], key)
    for (let lane = 0; lane < 4 && i + lane < elements; lane++) {
      data[i + lane] = initial.std * truncatedNormal((words[lane]! + 0.5) / 0x1_0000_0000)
    }
  }
  return data
}

/** A seed as two 32-bit words, low first: the key of every random stream. */
export function seedWords(seed: number): [number, number] {
  return [seed >>> 0, Math.floor(seed / 0x1_0000_0000) >>> 0]
}

const lowerTail = 0.022750131948179195 // Φ(-2)

/** Maps u in (0,1) to the standard normal restricted to [-2, 2]: the inverse of its distribution function. */
export function truncatedNormal(u: number): number {
  return Math.max(-2, Math.min(2, inverseNormal(lowerTail + u * (1 - 2 * lowerTail))))
}

/** Φ⁻¹ by the rational approximation of P. Acklam (2003), relative error 1.15e-9: far below f32. */
function inverseNormal(p: number): number {
  if (p < 0.02425) return tail(Math.sqrt(-2 * Math.log(p)))
  if (p > 0.97575) return -tail(Math.sqrt(-2 * Math.log(1 - p)))
  const q = p - 0.5
  const r = q * q
  const above =
    ((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r -
      30.66479806614716) *
      r +
    2.506628277459239
  const below =
    ((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r -
      13.28068155288572) *
      r +
    1
  return (above * q) / below
}

function tail(q: number): number {
  const above =
    ((((-0.007784894002430293 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) * q +
      4.374664141464968) *
      q +
    2.938163982698783
  const below =
    (((0.007784695709041462 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q + 1
  return above / below
}

/** FNV-1a over UTF-16 units, from a given offset basis. */
function hash(text: string, basis: number): number {
  let h = basis
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h >>> 0
}
