import { OnnxAdaptersError, OnnxImportError } from '../errors.js'
import type { Graph, TensorPart, Value } from '../ir/graph.js'
import type { Activation } from '../ops/define.js'
import { anchorEncoder, type EncoderAnchors } from './anchors.js'
import { type Canonical, canonicalise } from './canonicalise.js'
import { emitEncoder } from './emit.js'
import { type Encoder, matchEncoder } from './fuse/encoder.js'
import { Mismatch } from './fuse/pattern.js'
import { inlineFunctions } from './inline.js'
import type { Quantity } from './network.js'
import type { Roles } from './roles.js'
import type { OnnxModel, OnnxNode } from './schema.js'

/** Families by what sets them apart in the graph; models of other names import as the family they equal. */
export type Architecture = 'bert' | 'distilbert' | 'roberta' | 'electra' | 'albert'

/** What the file was found to hold; read from the graph and its tensors alone. */
export interface EncoderConfig {
  readonly architecture: Architecture
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly feedForward: number
  readonly activation: Activation
  readonly vocabulary: number
  /** Longest sequence, tokens. */
  readonly positions: number
  /** Rows of the token type table; 0 without one. */
  readonly tokenTypes: number
  /** Width of the embedding tables; `hidden` unless they are projected. */
  readonly embedding: number
  /** Row of the position table for the first token: pad + 1 in the RoBERTa family, else 0. */
  readonly positionOffset: number
  /** RoBERTa family: the id of padding, which must not stand among real tokens since positions do not count it. */
  readonly pad?: number
  readonly epsilon: number
  readonly pooler: boolean
  /** Names of the file's inputs that the encoder uses: ids, mask, types, as far as there are. */
  readonly inputs: readonly string[]
  /** Elements of all weights, the pooler's included where the file has it. */
  readonly parameters: number
  readonly weightType: 'f32' | 'f16'
}

export interface InputNames {
  readonly ids: string
  readonly mask?: string
  readonly types?: string
}

export interface ImportedEncoder {
  /** Output `hidden` [T,C]. */
  readonly graph: Graph
  readonly config: EncoderConfig
  /** tanh(weight · hidden[first token] + bias). */
  readonly pooler?: { readonly weight: Value; readonly bias: Value }
  /** Name of the ONNX value that holds `hidden` [B,S,C]. */
  readonly hiddenOutput: string
  /** False where ONNX Runtime must first be told to give it out. */
  readonly hiddenIsGraphOutput: boolean
  readonly inputNames: InputNames
  /** [batch, sequence] of a file that was exported for this one shape. */
  readonly fixedShape?: readonly [number, number]
  /** Where all of it is in the file; absent of an encoder that is from none. */
  readonly anchors?: EncoderAnchors
}

/**
 * Lifts the encoder out of an ONNX graph, by structure and never by names: the graph may hold heads, poolers and
 * further outputs, which are left out.
 * @param content false leaves the weights of the graph empty
 * @throws OnnxImportError ERR_ONNX_QUANTIZED, ERR_ONNX_CAUSAL, ERR_ONNX_UNSUPPORTED (with `details.node` and
 * `details.expected`), ERR_ONNX_NAN, ERR_ONNX_FORMAT
 */
export function importEncoder(model: OnnxModel, content = true): ImportedEncoder {
  try {
    rejectOtherKinds(model)
    const canonical = canonicalise(model)
    const encoder = matchEncoder(canonical)
    const { graph, pooler, weights } = emitEncoder(encoder, content)
    const config = describe(encoder, weights, canonical.roles)
    const names = inputNames(canonical.roles, encoder)
    const { fixedShape } = canonical.roles
    return {
      graph,
      config: { ...config, inputs: Object.values(names) },
      ...(pooler ? { pooler } : {}),
      ...nameHidden(canonical, encoder.hidden),
      inputNames: names,
      ...(fixedShape ? { fixedShape } : {}),
      anchors: anchorEncoder(canonical, encoder),
    }
  } catch (error) {
    throw explain(error)
  }
}

function explain(error: unknown): unknown {
  if (error instanceof OnnxAdaptersError) return error
  if (error instanceof Mismatch) return fromMismatch(error)
  // What is left are malformed nodes: a missing input, an attribute of the wrong kind.
  const reason = error instanceof Error ? error.message : String(error)
  const message = `The ONNX graph holds a node that is not well formed (${reason}). Check it with onnx.checker, or export it again.`
  return new OnnxImportError(
    'ERR_ONNX_FORMAT',
    message,
    { expected: 'nodes with their inputs and attributes' },
    { cause: error },
  )
}

function fromMismatch({ value, expected, code }: Mismatch): OnnxImportError {
  const operator = value?.producer
  const node = operator?.name ?? value?.name
  const found = operator ? `node "${node}" (${operator.type})` : `value "${node ?? ''}"`
  const advice =
    code === 'ERR_ONNX_CAUSAL'
      ? 'Adapters are trained on encoders; use a BERT-like encoder.'
      : 'Export a BERT-like encoder without quantisation or graph fusion.'
  const message = `The encoder cannot be lifted at ${found}: expected ${expected}. ${advice}`
  return new OnnxImportError(code, message, { node, operator: operator?.type, expected })
}

/** Kinds of models that are recognised by a single operator or input, and deserve an error in those terms. */
function rejectOtherKinds(model: OnnxModel): void {
  const nodes = inlineFunctions(model)
  const find = (test: (node: OnnxNode) => boolean) => nodes.find(test)
  const quantised =
    find((node) =>
      /^(MatMulInteger|QLinearMatMul|QAttention|MatMulNBits|DynamicQuantizeMatMul|QGemm)$/.test(node.opType ?? ''),
    ) ??
    find((node) =>
      /^(DynamicQuantizeLinear|QuantizeLinear|DequantizeLinear|GatherBlockQuantized|ConvInteger)$/.test(
        node.opType ?? '',
      ),
    )
  if (quantised) {
    const name = nodeName(quantised)
    const message = `Node "${name}" (${quantised.opType}) holds quantised weights; training needs float weights. Use the model without quantisation (\`onnx/model.onnx\`, not \`model_quantized.onnx\`).`
    throw new OnnxImportError('ERR_ONNX_QUANTIZED', message, {
      node: name,
      operator: quantised.opType,
      expected: 'float weights',
    })
  }
  const cache = model.graph!.input.find((input) => /past_key_values|past_\d|cache/.test(input.name ?? ''))
  if (cache) {
    const message = `The model has an input "${cache.name}" of earlier keys and values: it is a decoder. Adapters are trained on encoders; use a BERT-like encoder.`
    throw new OnnxImportError('ERR_ONNX_CAUSAL', message, { node: cache.name, expected: 'an encoder without a cache' })
  }
  const convolution = find((node) => node.opType === 'Conv')
  if (convolution) {
    const name = nodeName(convolution)
    const message = `Node "${name}" is a convolution: this is not a BERT-like text encoder.`
    throw new OnnxImportError('ERR_ONNX_UNSUPPORTED', message, {
      node: name,
      operator: 'Conv',
      expected: 'a BERT-like text encoder',
    })
  }
}

function nodeName(node: OnnxNode): string {
  return node.name || node.output.find((output) => output) || node.opType || ''
}

function describe(encoder: Encoder, weights: readonly Value[], roles: Roles): Omit<EncoderConfig, 'inputs'> {
  const { embedding, layers, embeddingNorm, hidden } = encoder
  const [first] = layers
  const { attention, up, activation, outputNorm } = first!
  const odd = layers.find(
    (layer) =>
      layer.activation !== activation ||
      layer.attention.heads !== attention.heads ||
      layer.up.weight.shape[0] !== up.weight.shape[0],
  )
  if (odd) throw new Mismatch(hidden, 'layers that all have the same heads, feed-forward width and activation', 10)
  if (roles.mask && layers.some((layer) => layer.attention.masked !== attention.masked))
    throw new Mismatch(hidden, 'the padding mask in all layers or in none', 10)
  const size = (shape: readonly (number | string)[]) => shape.reduce<number>((product, dim) => product * Number(dim), 1)
  const stored: TensorPart[] = weights.flatMap((weight) => weight.parts ?? [])
  return {
    architecture: familyOf(encoder),
    layers: layers.length,
    hidden: outputNorm.gamma.shape[0]!,
    heads: attention.heads,
    feedForward: up.weight.shape[0]!,
    activation,
    vocabulary: embedding.word.shape[0]!,
    positions: embedding.position.shape[0]! - embedding.positionOffset,
    tokenTypes: embedding.tokenType?.shape[0] ?? 0,
    embedding: embedding.word.shape[1]!,
    positionOffset: embedding.positionOffset,
    ...(embedding.pad === undefined ? {} : { pad: embedding.pad }),
    epsilon: shortest(embeddingNorm.epsilon),
    pooler: encoder.pooler !== undefined,
    // Layers that share their tensors (ALBERT) count once.
    parameters: [...new Map(stored.map((part) => [part.data, size(part.shape)])).values()].reduce(
      (sum, count) => sum + count,
      0,
    ),
    weightType: stored.some((part) => part.data instanceof Uint16Array) ? 'f16' : 'f32',
  }
}

function familyOf({ embedding, projection, layers }: Encoder): Architecture {
  if (layers.length > 1 && layers.every((layer) => layer.up.weight.tensor === layers[0]!.up.weight.tensor))
    return 'albert'
  if (projection) return 'electra'
  if (embedding.pad !== undefined) return 'roberta'
  return embedding.tokenType ? 'bert' : 'distilbert'
}

/** The shortest decimal that is the same float32: 1e-12 for what the file holds as 9.99999996e-13. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === Math.fround(value)) return short
  }
  return value
}

function inputNames(roles: Roles, encoder: Encoder): InputNames {
  const masked = roles.mask && encoder.layers[0]!.attention.masked
  return {
    ids: roles.ids.name,
    ...(masked ? { mask: roles.mask!.name } : {}),
    ...(roles.types && encoder.embedding.usesTypes ? { types: roles.types.name } : {}),
  }
}

/** A graph output that is the hidden state, else the inner value's name. */
function nameHidden(canonical: Canonical, hidden: Quantity): { hiddenOutput: string; hiddenIsGraphOutput: boolean } {
  const output = canonical.network.outputs.find((value) => canonical.resolve(value) === hidden)
  return output
    ? { hiddenOutput: output.name, hiddenIsGraphOutput: true }
    : { hiddenOutput: hidden.name, hiddenIsGraphOutput: false }
}
