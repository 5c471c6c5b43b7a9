import { OnnxImportError } from '../errors.js'
import { type Attributes, float, int, ints, text } from './attributes.js'
import { expandEinsum } from './einsum.js'
import {
  AttributeType,
  DataType,
  type Int64,
  type OnnxAttribute,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
} from './schema.js'
import { plainTensor } from './tensor.js'

/** Operators that exist only inside the importer; ONNX has them in a longer form, or for known ranks only. */
export const ownDomain = 'onnx-adapters'

/**
 * Spells out Einsum, and the fused operators that ONNX Runtime's optimizer writes (domain com.microsoft), in basic ones,
 * so that the rules need not know them. Results keep their names. What cannot be spelt out stays as it is.
 * @throws OnnxImportError ERR_ONNX_CAUSAL for attention with a causal mask
 */
export function expandFused(model: OnnxModel, nodes: readonly OnnxNode[]): OnnxNode[] {
  if (!nodes.some(ruleOf)) return [...nodes]
  const shapes = constantShapes(model, nodes)
  return nodes.flatMap((node) => {
    const rule = ruleOf(node)
    if (!rule) return [node]
    const expansion = new Expansion(node, shapes)
    return rule(expansion) ? expansion.nodes : [node]
  })
}

/** Shapes of constants by name, also of those that the graph hands on. */
function constantShapes(model: OnnxModel, nodes: readonly OnnxNode[]): Map<string, readonly Int64[]> {
  const shapes = new Map<string, readonly Int64[]>()
  for (const tensor of model.graph!.initializer) shapes.set(tensor.name ?? '', tensor.dims)
  for (const { opType, input, output, attribute } of nodes) {
    const value = attribute.find(({ name }) => name === 'value')?.t
    const dims = opType === 'Constant' ? value?.dims : opType === 'Identity' ? shapes.get(input[0] ?? '') : undefined
    if (dims) shapes.set(output[0] ?? '', dims)
  }
  return shapes
}

function ruleOf({ domain, opType }: OnnxNode): ((e: Expansion) => boolean) | undefined {
  if (opType === 'Einsum' && (!domain || domain === 'ai.onnx')) return expandEinsum
  return domain === 'com.microsoft' && Object.hasOwn(rules, opType ?? '') ? rules[opType!] : undefined
}

export class Expansion {
  readonly nodes: OnnxNode[] = []

  constructor(
    readonly node: OnnxNode,
    readonly shapes: ReadonlyMap<string, readonly Int64[]>,
  ) {}

  input(i: number): string {
    return this.node.input[i] ?? ''
  }

  attribute(name: string): OnnxAttribute | undefined {
    return this.node.attribute.find((attribute) => attribute.name === name)
  }

  int(name: string, fallback: number): number {
    return Number(this.attribute(name)?.i ?? fallback)
  }

  float(name: string, fallback: number): number {
    return this.attribute(name)?.f ?? fallback
  }

  /** @param output name of the result; made up where it is not given */
  add(opType: string, input: readonly string[], attributes: Attributes = {}, output?: string, domain = ''): string {
    const name = `${this.node.name || this.node.output[0]}/${this.nodes.length}`
    const result = output || `${this.node.output[0]}/${this.nodes.length}`
    const list = Object.entries(attributes).map(([key, value]) => ({
      floats: [],
      ints: [],
      strings: [],
      ...value,
      name: key,
    }))
    this.nodes.push({ opType, name, input: [...input], output: [result], attribute: list, domain })
    return result
  }

  constant(tensor: OnnxTensor): string {
    return this.add('Constant', [], { value: { t: tensor, type: AttributeType.tensor } })
  }

  integers(...values: number[]): string {
    return this.constant(plainTensor(DataType.int64, [values.length], { int64Data: values }))
  }

  index(value: number): string {
    return this.constant(plainTensor(DataType.int64, [], { int64Data: [value] }))
  }

  scalar(value: number): string {
    return this.constant(plainTensor(DataType.float, [], { floatData: [value] }))
  }
}

const rules: Record<string, (e: Expansion) => boolean> = {
  BiasGelu: (e) => expandGelu(e, 'none'),
  FastGelu: (e) => expandGelu(e, 'tanh'),
  Gelu: (e) => expandGelu(e, 'none'),
  SkipLayerNormalization: expandSkipLayerNorm,
  EmbedLayerNormalization: expandEmbedLayerNorm,
  FusedMatMul: expandFusedMatMul,
  FusedGemm: expandFusedGemm,
  Attention: expandAttention,
}

function expandGelu(e: Expansion, approximate: string): boolean {
  const x = e.input(1) ? e.add('Add', [e.input(0), e.input(1)]) : e.input(0)
  e.add('Gelu', [x], { approximate: text(approximate) }, e.node.output[0])
  return true
}

/** LN(a + b + bias). */
function expandSkipLayerNorm(e: Expansion): boolean {
  const [a, b, gamma, beta, bias] = [0, 1, 2, 3, 4].map((i) => e.input(i)) as [string, string, string, string, string]
  if (!a || !b || !gamma || !beta) return false
  const biased = bias ? e.add('Add', [a, bias]) : a
  const sum = e.add('Add', [biased, b], {}, e.node.output[3])
  e.add(
    'LayerNormalization',
    [sum, gamma, beta],
    { epsilon: float(e.float('epsilon', 1e-12)), axis: int(-1) },
    e.node.output[0],
  )
  return true
}

/** LN(word[ids] + position[0..S-1] + segment[types]); second result: number of real tokens of each sequence. */
function expandEmbedLayerNorm(e: Expansion): boolean {
  const [ids, types, word, position, segment, gamma, beta, mask, places] = [...Array(9).keys()].map((i) => e.input(i))
  if (!ids || !word || !position || !gamma || !beta) return false
  const length = e.add('Gather', [e.add('Shape', [ids]), e.index(1)], { axis: int(0) })
  const index = places || e.add('Range', [e.index(0), length, e.index(1)])
  const words = e.add('Gather', [word, ids])
  const typed = types && segment ? e.add('Add', [words, e.add('Gather', [segment, types])]) : words
  const sum = e.add('Add', [typed, e.add('Gather', [position, index])], {}, e.node.output[2])
  e.add(
    'LayerNormalization',
    [sum, gamma, beta],
    { epsilon: float(e.float('epsilon', 1e-12)), axis: int(-1) },
    e.node.output[0],
  )
  if (mask && e.node.output[1]) e.add('ReduceSum', [mask, e.integers(1)], { keepdims: int(0) }, e.node.output[1])
  return true
}

function expandFusedMatMul(e: Expansion): boolean {
  if (e.int('transBatchA', 0) || e.int('transBatchB', 0)) return false
  const operand = (i: number, flag: string) =>
    e.int(flag, 0) ? e.add('SwapLast', [e.input(i)], {}, undefined, ownDomain) : e.input(i)
  const operands = [operand(0, 'transA'), operand(1, 'transB')]
  e.add('Mul', [e.add('MatMul', operands), e.scalar(e.float('alpha', 1))], {}, e.node.output[0])
  return true
}

function expandFusedGemm(e: Expansion): boolean {
  const activation = e.attribute('activation')?.s
  const kind = activation ? Buffer.from(activation).toString() : ''
  if (!['Tanh', 'Relu', 'Sigmoid'].includes(kind)) return false
  const keep = ['alpha', 'beta', 'transA', 'transB'].flatMap((name) => e.attribute(name) ?? [])
  const y = e.add('Gemm', e.node.input, Object.fromEntries(keep.map((attribute) => [attribute.name!, attribute])))
  e.add(kind, [y], {}, e.node.output[0])
  return true
}

/** One matrix [C, 3C] makes queries, keys and values; the mask is [B,S], or the number of real tokens [B]. */
function expandAttention(e: Expansion): boolean {
  const [x, weight, bias, mask] = [0, 1, 2, 3].map((i) => e.input(i)) as [string, string, string, string]
  if (e.int('unidirectional', 0)) {
    const name = e.node.name || e.node.output[0]
    const message = `Node "${name}" (Attention) looks only backwards: the model is a decoder. Adapters are trained on encoders; use a BERT-like encoder.`
    throw new OnnxImportError('ERR_ONNX_CAUSAL', message, {
      node: name,
      operator: 'Attention',
      expected: 'attention in both directions',
    })
  }
  const columns = Number(e.shapes.get(weight)?.[1] ?? 0)
  const heads = e.int('num_heads', 0)
  const hidden = columns / 3
  const further = [4, 5, 6].some((i) => e.input(i)) || e.int('do_rotary', 0) !== 0
  const sizes = e.attribute('qkv_hidden_sizes')?.ints
  if (further || heads < 1 || !Number.isInteger(hidden / heads) || sizes?.some((size) => Number(size) !== hidden))
    return false
  const product = e.add('MatMul', [x, weight])
  const qkv = bias ? e.add('Add', [product, bias]) : product
  const project = (i: number, ...perm: number[]) => {
    const part = e.add('Slice', [qkv, e.integers(i * hidden), e.integers((i + 1) * hidden), e.integers(2)])
    const split = e.add('Reshape', [part, e.integers(0, 0, heads, hidden / heads)])
    return e.add('Transpose', [split], { perm: ints(...perm) })
  }
  const scale = e.float('scale', 0) || 1 / Math.sqrt(hidden / heads)
  const scores = e.add('Mul', [e.add('MatMul', [project(0, 0, 2, 1, 3), project(1, 0, 2, 3, 1)]), e.scalar(scale)])
  const dropped = { dropped: float(e.float('mask_filter_value', -10000)) }
  const masked = mask ? e.add('Add', [scores, e.add('MaskBias', [mask], dropped, undefined, ownDomain)]) : scores
  const mixed = e.add('MatMul', [e.add('Softmax', [masked], { axis: int(-1) }), project(2, 0, 2, 1, 3)])
  const merged = e.add('Transpose', [mixed], { perm: ints(0, 2, 1, 3) })
  e.add('Reshape', [merged, e.integers(0, 0, hidden)], {}, e.node.output[0])
  return true
}
