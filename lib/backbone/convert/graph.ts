import { OnnxBuilder } from './builder.js'
import type { EncoderActivation, EncoderShape } from './config.js'
import { tensorNames, type LayerNames } from './names.js'
import type { EncoderWeights } from './weights.js'

/** Smallest float32: what is added to the scores of padding, as in the published models. */
const lowest = -3.4028234663852886e38

/**
 * The graph of a post-LayerNorm encoder (Devlin et al. 2019) over its weights, in standard operators of opset 17.
 *
 * Inputs `input_ids`, `attention_mask` and, where there are token types, `token_type_ids`, int64 [batch, sequence];
 * outputs `last_hidden_state` [batch, sequence, hidden] and, where the weights have a pooler, `pooler_output`
 * [batch, hidden].
 * @throws BackboneError ERR_BACKBONE_WEIGHTS where a tensor is missing or has another shape than config.json says
 */
export function buildEncoder(shape: EncoderShape, weights: EncoderWeights) {
  const encoder = new EncoderGraph(shape, weights)
  const hidden = encoder.build()
  const inputs = ['input_ids', 'attention_mask', ...(shape.tokenTypes > 0 ? ['token_type_ids'] : [])]
  return encoder.graph.model(inputs, {
    [hidden]: ['batch', 'sequence', shape.hidden],
    ...(encoder.pooler ? { pooler_output: ['batch', shape.hidden] } : {}),
  })
}

class EncoderGraph {
  readonly graph = new OnnxBuilder()
  pooler = false
  readonly #shape: EncoderShape
  readonly #weights: EncoderWeights

  constructor(shape: EncoderShape, weights: EncoderWeights) {
    this.#shape = shape
    this.#weights = weights
  }

  build(): string {
    const names = tensorNames(this.#shape.family)
    const { layers, hidden } = this.#shape
    this.#addConstants()
    const bias = this.#maskBias()
    let x = this.#embed()
    for (let i = 0; i < layers; i++) {
      const name = i === layers - 1 ? 'last_hidden_state' : `layer.${i}`
      x = this.#layer(`layer.${i}`, names.layer(i), x, bias, name)
    }
    if (this.#shape.family !== 'distilbert' && this.#weights.has(`${names.pooler}.weight`)) {
      const first = this.graph.node('Gather', 'pooler.first', [x, 'first'], { axis: 1 })
      const dense = this.#linear('pooler.dense', names.pooler, first, hidden, hidden)
      this.graph.node('Tanh', 'pooler_output', [dense])
      this.pooler = true
    }
    return x
  }

  #addConstants(): void {
    const { hidden, heads } = this.#shape
    const { graph } = this
    graph.constant('first', 'int64', [], [0])
    graph.constant('sequence_axis', 'int64', [1], [1])
    graph.constant('mask_axes', 'int64', [2], [1, 2])
    // A zero copies the size of the input.
    graph.constant('split_heads', 'int64', [4], [0, 0, heads, hidden / heads])
    graph.constant('merge_heads', 'int64', [3], [0, 0, hidden])
    graph.constant('one', 'float', [], [1])
    graph.constant('lowest', 'float', [], [lowest])
    graph.constant('score_scale', 'float', [], [Math.sqrt(hidden / heads)])
  }

  /** [batch, 1, 1, sequence]: 0 where a token counts, else the smallest number. */
  #maskBias(): string {
    const { graph } = this
    const mask = graph.node('Unsqueeze', 'mask.unsqueezed', ['attention_mask', 'mask_axes'])
    const keep = graph.node('Cast', 'mask.float', [mask], { to: 1 })
    const drop = graph.node('Sub', 'mask.dropped', ['one', keep])
    return graph.node('Mul', 'mask.bias', [drop, 'lowest'])
  }

  #embed(): string {
    const { vocabulary, positions, tokenTypes, embedding, hidden } = this.#shape
    const { graph } = this
    const names = tensorNames(this.#shape.family)
    const table = (name: string, rows: number) => graph.weight(this.#weights.get(name, [rows, embedding]))
    let sum = graph.node('Gather', 'embeddings.word', [table(names.word, vocabulary), 'input_ids'])
    if (tokenTypes > 0) {
      const types = graph.node('Gather', 'embeddings.token_type', [
        table(names.tokenType, tokenTypes),
        'token_type_ids',
      ])
      sum = graph.node('Add', 'embeddings.with_types', [sum, types])
    }
    const places = graph.node('Gather', 'embeddings.position', [table(names.position, positions), this.#positions()])
    sum = graph.node('Add', 'embeddings.sum', [sum, places])
    const normal = this.#layerNorm('embeddings.layer_norm', names.embeddingNorm, sum, embedding)
    if (embedding === hidden) return normal
    return this.#linear('embeddings.projection', names.projection, normal, embedding, hidden)
  }

  /** Row of the position table for each token. */
  #positions(): string {
    const { positions, pad } = this.#shape
    const { graph } = this
    if (pad === undefined) {
      const rows = Array.from({ length: positions }, (_, i) => i)
      graph.constant('position_ids', 'int64', [1, positions], rows)
      graph.constant('zero_list', 'int64', [1], [0])
      const shape = graph.node('Shape', 'positions.shape', ['input_ids'])
      const length = graph.node('Gather', 'positions.length', [shape, 'sequence_axis'])
      return graph.node('Slice', 'positions', ['position_ids', 'zero_list', length, 'sequence_axis'])
    }
    // RoBERTa counts tokens other than padding, after the padding's own row.
    graph.constant('pad', 'int64', [], [pad])
    graph.constant('cumsum_axis', 'int64', [], [1])
    const isPad = graph.node('Equal', 'positions.is_pad', ['input_ids', 'pad'])
    const isToken = graph.node('Not', 'positions.is_token', [isPad])
    const ones = graph.node('Cast', 'positions.ones', [isToken], { to: 7 })
    const counted = graph.node('CumSum', 'positions.counted', [ones, 'cumsum_axis'])
    const tokens = graph.node('Mul', 'positions.tokens', [counted, ones])
    return graph.node('Add', 'positions', [tokens, 'pad'])
  }

  #layer(at: string, names: LayerNames, x: string, bias: string, result: string): string {
    const { hidden, feedForward, activation } = this.#shape
    const { graph } = this
    const context = this.#attention(`${at}.attention`, names, x, bias)
    const output = this.#linear(`${at}.attention.output`, names.output, context, hidden, hidden)
    const inner = graph.node('Add', `${at}.attention.residual`, [output, x])
    const middle = this.#layerNorm(`${at}.attention.layer_norm`, names.attentionNorm, inner, hidden)
    const up = this.#linear(`${at}.ffn.up`, names.up, middle, hidden, feedForward)
    const active = addActivation(graph, activation, `${at}.ffn.activation`, up)
    const down = this.#linear(`${at}.ffn.down`, names.down, active, feedForward, hidden)
    const outer = graph.node('Add', `${at}.ffn.residual`, [down, middle])
    return this.#layerNorm(result, names.outputNorm, outer, hidden)
  }

  #attention(at: string, names: LayerNames, x: string, bias: string): string {
    const { hidden } = this.#shape
    const { graph } = this
    const heads = (part: 'query' | 'key' | 'value', perm: readonly number[]) => {
      const dense = this.#linear(`${at}.${part}`, names[part], x, hidden, hidden)
      const split = graph.node('Reshape', `${at}.${part}.split`, [dense, 'split_heads'])
      return graph.node('Transpose', `${at}.${part}.heads`, [split], { perm })
    }
    const product = graph.node('MatMul', `${at}.product`, [heads('query', [0, 2, 1, 3]), heads('key', [0, 2, 3, 1])])
    const scaled = graph.node('Div', `${at}.scaled`, [product, 'score_scale'])
    const masked = graph.node('Add', `${at}.masked`, [scaled, bias])
    const probabilities = graph.node('Softmax', `${at}.probabilities`, [masked], { axis: -1 })
    const mixed = graph.node('MatMul', `${at}.mixed`, [probabilities, heads('value', [0, 2, 1, 3])])
    const merged = graph.node('Transpose', `${at}.merged`, [mixed], { perm: [0, 2, 1, 3] })
    return graph.node('Reshape', `${at}.context`, [merged, 'merge_heads'])
  }

  /** y = x · Wᵀ + b, the weights being [to, from]. */
  #linear(at: string, name: string, x: string, from: number, to: number): string {
    const weight = this.graph.transposed(this.#weights.get(`${name}.weight`, [to, from]))
    const bias = this.graph.weight(this.#weights.get(`${name}.bias`, [to]))
    return this.graph.node('Add', at, [this.graph.node('MatMul', `${at}.product`, [x, weight]), bias])
  }

  #layerNorm(at: string, name: string, x: string, width: number): string {
    const scale = this.graph.weight(this.#weights.get(`${name}.weight`, [width]))
    const shift = this.graph.weight(this.#weights.get(`${name}.bias`, [width]))
    const attributes = { axis: -1, epsilon: { float: this.#shape.epsilon } }
    return this.graph.node('LayerNormalization', at, [x, scale, shift], attributes)
  }
}

/** In basic operators: GELU is an operator from opset 20 on only. */
function addActivation(graph: OnnxBuilder, kind: EncoderActivation, at: string, x: string): string {
  const scalar = (name: string, value: number) => graph.constant(name, 'float', [], [value])
  switch (kind) {
    case 'relu':
      return graph.node('Relu', at, [x])
    case 'tanh':
      return graph.node('Tanh', at, [x])
    case 'silu':
      return graph.node('Mul', at, [x, graph.node('Sigmoid', `${at}.gate`, [x])])
    case 'gelu': {
      // Hendrycks & Gimpel 2016: x · (1 + erf(x / √2)) / 2.
      const inner = graph.node('Div', `${at}.inner`, [x, scalar('sqrt_two', Math.SQRT2)])
      const gate = graph.node('Add', `${at}.gate`, [graph.node('Erf', `${at}.erf`, [inner]), 'one'])
      return graph.node('Mul', at, [graph.node('Mul', `${at}.twice`, [x, gate]), scalar('half', 0.5)])
    }
    case 'gelu_tanh': {
      // Its approximation: x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2.
      const cube = graph.node('Mul', `${at}.cube`, [x, graph.node('Mul', `${at}.square`, [x, x])])
      const small = graph.node('Mul', `${at}.small`, [cube, scalar('gelu_cubic', 0.044715)])
      const sum = graph.node('Add', `${at}.sum`, [x, small])
      const inner = graph.node('Mul', `${at}.inner`, [sum, scalar('gelu_linear', Math.sqrt(2 / Math.PI))])
      const gate = graph.node('Add', `${at}.gate`, [graph.node('Tanh', `${at}.tanh`, [inner]), 'one'])
      return graph.node('Mul', at, [graph.node('Mul', `${at}.twice`, [x, gate]), scalar('half', 0.5)])
    }
    default:
      return kind satisfies never
  }
}
