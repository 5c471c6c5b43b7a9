/**
 * Runs an imported encoder in float64, one plain loop per op: what the graph means, without the engine. Slow, for small
 * models only.
 */
import type { Graph, Node, TensorPart, Value } from '../../lib/ir/graph.js'
import { halfToFloat } from '../../lib/formats/half.js'

export interface PackedTokens {
  readonly ids: readonly number[]
  readonly types: readonly number[]
  /** Cumulative lengths, one more than there are sequences. */
  readonly cu: readonly number[]
}

type Matrix = Float64Array

/** A part as plain rows [out, in] (or a vector). */
export function partNumbers({ data, shape, transposed }: TensorPart): Matrix {
  const plain = data instanceof Uint16Array ? Float64Array.from(data, halfToFloat) : Float64Array.from(data)
  if (!transposed) return plain
  const [rows = 0, columns = 0] = shape
  return Float64Array.from(plain, (_, i) => plain[(i % columns) * rows + Math.floor(i / columns)]!)
}

export function valueNumbers(value: Value): Matrix {
  const parts = (value.parts ?? []).map(partNumbers)
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** The `hidden` output [T,C], row after row. */
export function runEncoder(graph: Graph, tokens: PackedTokens): Matrix {
  const results = new Map<Value, Matrix>()
  const read = (value: Value): Matrix => {
    let found = results.get(value)
    if (!found) {
      found = valueNumbers(value)
      results.set(value, found)
    }
    return found
  }
  for (const node of graph.nodes) results.set(node.outputs.y!, runNode(node, tokens, read))
  return results.get(graph.outputs.hidden!)!
}

function runNode(node: Node, tokens: PackedTokens, read: (value: Value) => Matrix): Matrix {
  const operand = (name: string): Matrix => read(node.inputs[name]!)
  const width = node.outputs.y!.shape[1] as number
  switch (node.op) {
    case 'embedding':
      return embed(node, tokens, read, width)
    case 'layer_norm':
      return layerNorm(operand('x'), operand('gamma'), operand('beta'), Number(node.attributes.epsilon))
    case 'linear':
      return linear(
        operand('x'),
        operand('w'),
        node.inputs.b && operand('b'),
        width,
        String(node.attributes.activation),
      )
    case 'attention':
      return attention(operand('qkv'), tokens.cu, width, Number(node.attributes.heads), Number(node.attributes.scale))
    case 'add':
      return operand('a').map((x, i) => x + operand('b')[i]!)
    default:
      throw new Error(`no reference for ${node.op}`)
  }
}

function embed(node: Node, tokens: PackedTokens, read: (value: Value) => Matrix, width: number): Matrix {
  const { word, position, token_type: tokenType, types } = node.inputs
  const y = new Float64Array(tokens.ids.length * width)
  for (let s = 0; s + 1 < tokens.cu.length; s++) {
    for (let t = tokens.cu[s]!; t < tokens.cu[s + 1]!; t++) {
      const place = t - tokens.cu[s]! + Number(node.attributes.position_offset)
      for (let c = 0; c < width; c++) {
        let sum = read(word!)[tokens.ids[t]! * width + c]!
        if (position) sum += read(position)[place * width + c]!
        if (tokenType) sum += read(tokenType)[(types ? tokens.types[t]! : 0) * width + c]!
        y[t * width + c] = sum
      }
    }
  }
  return y
}

function layerNorm(x: Matrix, gamma: Matrix, beta: Matrix, epsilon: number): Matrix {
  const width = gamma.length
  const y = new Float64Array(x.length)
  for (let start = 0; start < x.length; start += width) {
    const row = x.subarray(start, start + width)
    const mean = row.reduce((sum, v) => sum + v, 0) / width
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / width
    const scale = 1 / Math.sqrt(variance + epsilon)
    for (let c = 0; c < width; c++) y[start + c] = (row[c]! - mean) * scale * gamma[c]! + beta[c]!
  }
  return y
}

function linear(x: Matrix, w: Matrix, b: Matrix | undefined, width: number, activation: string): Matrix {
  const depth = w.length / width
  const rows = x.length / depth
  const y = new Float64Array(rows * width)
  for (let r = 0; r < rows; r++) {
    for (let n = 0; n < width; n++) {
      let sum = b ? b[n]! : 0
      for (let k = 0; k < depth; k++) sum += x[r * depth + k]! * w[n * depth + k]!
      y[r * width + n] = activate(sum, activation)
    }
  }
  return y
}

function attention(qkv: Matrix, cu: readonly number[], width: number, heads: number, scale: number): Matrix {
  const d = width / heads
  const y = new Float64Array(qkv.length / 3)
  const at = (t: number, which: number, h: number, i: number) => qkv[t * 3 * width + which * width + h * d + i]!
  for (let s = 0; s + 1 < cu.length; s++) {
    const [start, end] = [cu[s]!, cu[s + 1]!]
    for (let h = 0; h < heads; h++) {
      for (let t = start; t < end; t++) {
        const scores = Array.from({ length: end - start }, (_, j) => {
          let sum = 0
          for (let i = 0; i < d; i++) sum += at(t, 0, h, i) * at(start + j, 1, h, i)
          return sum * scale
        })
        const top = Math.max(...scores)
        const weights = scores.map((score) => Math.exp(score - top))
        const total = weights.reduce((a, b) => a + b, 0)
        for (let i = 0; i < d; i++) {
          let sum = 0
          weights.forEach((weight, j) => (sum += (weight / total) * at(start + j, 2, h, i)))
          y[t * width + h * d + i] = sum
        }
      }
    }
  }
  return y
}

function activate(u: number, activation: string): number {
  switch (activation) {
    case 'none':
      return u
    case 'relu':
      return Math.max(u, 0)
    case 'silu':
      return u / (1 + Math.exp(-u))
    case 'tanh':
      return Math.tanh(u)
    case 'gelu':
      return 0.5 * u * (1 + erf(u * Math.SQRT1_2))
    case 'gelu_tanh':
      return 0.5 * u * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (u + 0.044715 * u ** 3)))
    default:
      throw new Error(`no reference for activation ${activation}`)
  }
}

/** Maclaurin series, and the tail's continued fraction (Abramowitz & Stegun 7.1.5, 7.1.14): good to about 1e-15. */
function erf(x: number): number {
  const a = Math.abs(x)
  if (a > 6) return Math.sign(x)
  if (a < 2.5) {
    let term = a
    let sum = a
    for (let n = 1; Math.abs(term) > 1e-18; n++) {
      term *= -(a * a) / n
      sum += term / (2 * n + 1)
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI)
  }
  let fraction = a
  for (let n = 60; n > 0; n--) fraction = a + n / 2 / fraction
  return Math.sign(x) * (1 - Math.exp(-a * a) / (fraction * Math.sqrt(Math.PI)))
}
