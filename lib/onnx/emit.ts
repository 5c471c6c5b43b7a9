import { OnnxImportError } from '../errors.js'
import {
  type AttributeValue,
  type Graph,
  type Node,
  type Shape,
  type TensorPart,
  type Value,
  activation,
  inputs,
} from '../ir/graph.js'
import type { Encoder, Layer } from './fuse/encoder.js'
import type { LayerNorm } from './fuse/layer_norm.js'
import type { Linear } from './fuse/linear.js'
import type { Weight } from './fuse/weight.js'
import { DataType, type OnnxTensor } from './schema.js'
import { firstNotFinite, tensorFloats } from './tensor.js'

/** The encoder as IR: nodes in running order, weights as frozen values under their public names. */
export interface EmittedEncoder {
  readonly graph: Graph
  readonly pooler?: { readonly weight: Value; readonly bias: Value }
  /** Every frozen value, the pooler's too. */
  readonly weights: readonly Value[]
}

/**
 * @param content false leaves the weights empty, for those who look at names and shapes alone
 * @throws OnnxImportError ERR_ONNX_NAN, ERR_ONNX_FORMAT for weights that cannot be used
 */
export function emitEncoder(encoder: Encoder, content = true): EmittedEncoder {
  const emitter = new Emitter(content)
  const { embedding, layers } = encoder
  const sum = emitter.node(
    'embedding',
    'embeddings',
    {
      ids: inputs.ids,
      ...(embedding.usesTypes ? { types: inputs.types } : {}),
      cu: inputs.cu,
      word: emitter.matrix('embeddings.word.weight', embedding.word),
      position: emitter.matrix('embeddings.position.weight', embedding.position),
      ...(embedding.tokenType
        ? { token_type: emitter.matrix('embeddings.token_type.weight', embedding.tokenType) }
        : {}),
    },
    ['T', embedding.word.shape[1]!],
    { position_offset: embedding.positionOffset },
  )
  let hidden = emitter.layerNorm('embeddings.layer_norm', sum, encoder.embeddingNorm)
  if (encoder.projection) hidden = emitter.linear('embeddings.projection', hidden, encoder.projection)
  layers.forEach((layer, i) => (hidden = emitLayer(emitter, `layer.${i}`, hidden, layer)))
  const pooler = encoder.pooler && {
    weight: emitter.matrix('pooler.weight', encoder.pooler.weight),
    bias: emitter.vector('pooler.bias', encoder.pooler.bias!),
  }
  const graph = { nodes: emitter.nodes, outputs: { hidden } }
  return { graph, ...(pooler ? { pooler } : {}), weights: emitter.weights }
}

function emitLayer(emitter: Emitter, name: string, x: Value, layer: Layer): Value {
  const { attention } = layer
  const projections = { query: attention.query, key: attention.key, value: attention.value }
  const qkv = emitter.joined(`${name}.attention`, 'qkv', x, projections)
  const heads = { heads: attention.heads, scale: attention.scale, dropout: 0, rng: 0, max_length: 0 }
  const mixed = emitter.node('attention', `${name}.attention`, { qkv, cu: inputs.cu }, x.shape, heads)
  const output = emitter.linear(`${name}.attention.output`, mixed, layer.output)
  const middle = emitter.residualNorm(`${name}.attention`, output, x, layer.attentionNorm)
  const up = emitter.linear(`${name}.ffn.up`, middle, layer.up, layer.activation)
  const down = emitter.linear(`${name}.ffn.down`, up, layer.down)
  return emitter.residualNorm(`${name}.ffn`, down, middle, layer.outputNorm)
}

class Emitter {
  readonly nodes: Node[] = []
  readonly weights: Value[] = []
  readonly #checked = new WeakMap<OnnxTensor, Float32Array | Uint16Array>()

  constructor(private readonly content: boolean) {}

  node(
    op: string,
    name: string,
    operands: Readonly<Record<string, Value>>,
    shape: Shape,
    attributes: Readonly<Record<string, AttributeValue>>,
  ): Value {
    const y = activation(`${name}.y`, shape)
    this.nodes.push({ op, name, inputs: operands, outputs: { y }, attributes })
    return y
  }

  layerNorm(name: string, x: Value, norm: LayerNorm): Value {
    const gamma = this.vector(`${name}.weight`, norm.gamma)
    const beta = this.vector(`${name}.bias`, norm.beta)
    return this.node('layer_norm', name, { x, gamma, beta }, x.shape, { epsilon: norm.epsilon })
  }

  residualNorm(name: string, dense: Value, residual: Value, norm: LayerNorm): Value {
    const sum = this.node('add', `${name}.residual`, { a: dense, b: residual }, dense.shape, {})
    return this.layerNorm(`${name}.layer_norm`, sum, norm)
  }

  linear(name: string, x: Value, linear: Linear, kind = 'none'): Value {
    const w = this.matrix(`${name}.weight`, linear.weight)
    const b: Record<string, Value> = linear.bias ? { b: this.vector(`${name}.bias`, linear.bias) } : {}
    return this.node('linear', name, { x, w, ...b }, ['T', linear.weight.shape[0]!], { activation: kind })
  }

  /** Several linear layers of one input as one, their rows stacked; a missing bias counts as zeros. */
  joined(prefix: string, name: string, x: Value, parts: Readonly<Record<string, Linear>>): Value {
    const entries = Object.entries(parts)
    const weights = entries.map(([part, { weight }]) => this.#part(`${prefix}.${part}.weight`, weight))
    const rows = weights.reduce((sum, part) => sum + part.shape[0]!, 0)
    const w = this.#frozen(`${prefix}.${name}.weight`, [rows, weights[0]!.shape[1]!], weights)
    const biased = entries.some(([, { bias }]) => bias)
    const biases = entries.map(([part, { weight, bias }]) => {
      const label = `${prefix}.${part}.bias`
      if (bias) return this.#part(label, bias)
      return { name: label, shape: [weight.shape[0]!], data: new Float32Array(weight.shape[0]!), transposed: false }
    })
    const b: Record<string, Value> = biased ? { b: this.#frozen(`${prefix}.${name}.bias`, [rows], biases) } : {}
    return this.node('linear', `${prefix}.${name}`, { x, w, ...b }, ['T', rows], { activation: 'none' })
  }

  matrix(name: string, weight: Weight): Value {
    return this.#frozen(name, weight.shape, [this.#part(name, weight)])
  }

  vector(name: string, weight: Weight): Value {
    return this.matrix(name, weight)
  }

  #frozen(name: string, shape: Shape, parts: readonly TensorPart[]): Value {
    const value: Value = { name, dtype: 'f32', shape, storage: 'frozen', parts }
    this.weights.push(value)
    return value
  }

  #part(name: string, weight: Weight): TensorPart {
    const { tensor, shape, transposed, name: source } = weight
    let data = this.#checked.get(tensor)
    if (!this.content) {
      data ??= tensor.dataType === DataType.float16 ? new Uint16Array(0) : new Float32Array(0)
      this.#checked.set(tensor, data)
      // Parts of one tensor are different weights.
      return { name, shape, data: weight.rows ? data.slice() : data, transposed }
    }
    if (!data) {
      data = tensorFloats(tensor)
      const at = firstNotFinite(data)
      if (at >= 0) {
        const message = `The weight "${source}" (${name}) holds NaN or infinity at element ${at}: the file is damaged, or overflowed when it was converted.`
        throw new OnnxImportError('ERR_ONNX_NAN', message, {
          tensor: source,
          name,
          element: at,
          expected: 'finite weights',
        })
      }
      this.#checked.set(tensor, data)
    }
    return { name, shape, data: weight.rows ? cutRows(data, weight) : data, transposed }
  }
}

/** Some rows of a larger weight: a view where they lie together, a copy where the file holds them as columns. */
function cutRows<T extends Float32Array | Uint16Array>(data: T, { shape, rows, transposed }: Weight): T {
  const [count = 0, width = 1] = shape
  const { start, of } = rows!
  if (!transposed) return data.subarray(start * width, (start + count) * width) as T
  const copy = data.slice(0, count * width) as T
  for (let k = 0; k < width; k++) copy.set(data.subarray(k * of + start, k * of + start + count), k * count)
  return copy
}
