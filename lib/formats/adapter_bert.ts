/**
 * Tensors by the names that google-research/adapter-bert gives them in its checkpoints, in a safetensors file: matrices
 * are [in, out], the other way round than in a run. Its adapters know one activation, the tanh form of GELU, and its
 * head reads the pooler.
 */

import { InteropError } from '../errors.js'
import type { FloatTensor } from './safetensors.js'
import type { SourceTensors } from './adapterhub/adapter_tensors.js'

type Tensors = ReadonlyMap<string, FloatTensor>

/** A tensor in both worlds. */
interface Pair {
  readonly ours: string
  readonly theirs: string
  /** `matrix`: transposed; `row`: [n] with us, [1, n] there. */
  readonly form: 'matrix' | 'row' | 'same'
}

const scope = 'bert/encoder/layer_'

function pairs(layers: number): Pair[] {
  const norm = (ours: string, theirs: string): Pair[] => [
    { ours: `${ours}.layer_norm.weight`, theirs: `${theirs}/LayerNorm/gamma`, form: 'same' },
    { ours: `${ours}.layer_norm.bias`, theirs: `${theirs}/LayerNorm/beta`, form: 'same' },
  ]
  const adapter = (ours: string, theirs: string): Pair[] => [
    { ours: `${ours}.adapter.down.weight`, theirs: `${theirs}/adapters/weights1`, form: 'matrix' },
    { ours: `${ours}.adapter.down.bias`, theirs: `${theirs}/adapters/biases1`, form: 'row' },
    { ours: `${ours}.adapter.up.weight`, theirs: `${theirs}/adapters/weights2`, form: 'matrix' },
    { ours: `${ours}.adapter.up.bias`, theirs: `${theirs}/adapters/biases2`, form: 'row' },
  ]
  const all = norm('embeddings', 'bert/embeddings')
  for (let layer = 0; layer < layers; layer++) {
    const places = [
      ['attention', 'attention/output'],
      ['ffn', 'output'],
    ] as const
    for (const [ours, theirs] of places) {
      const [a, b] = [`layer.${layer}.${ours}`, `${scope}${layer}/${theirs}`]
      all.push(...adapter(a, b), ...norm(a, b))
    }
  }
  all.push({ ours: 'head.weight', theirs: 'output_weights', form: 'same' })
  all.push({ ours: 'head.bias', theirs: 'output_bias', form: 'same' })
  return all
}

/** Tensors of a run by the names of adapter-bert. */
export function toAdapterBert(tensors: Tensors, layers: number): Map<string, FloatTensor> {
  const written = new Map<string, FloatTensor>()
  for (const { ours, theirs, form } of pairs(layers)) {
    const tensor = tensors.get(ours)
    if (!tensor) continue
    const { shape, data } = tensor
    if (form === 'matrix') written.set(theirs, transposed(shape as [number, number], data))
    else written.set(theirs, { shape: form === 'row' ? [1, ...shape] : shape, data })
  }
  return written
}

/**
 * Tensors of adapter-bert by the names of a run, with the bottleneck's width. Moments of its optimizer and the
 * encoder's own tensors, which it does not train, are left out.
 * @throws InteropError ERR_INTEROP_FILE where adapters or the head are not all there, or of other shapes
 */
export function fromAdapterBert(
  source: SourceTensors,
  { layers, hidden }: { readonly layers: number; readonly hidden: number },
  file: string,
): { readonly tensors: Map<string, FloatTensor>; readonly size: number; readonly outputs: number } {
  const wrong = (name: string, what: string) =>
    new InteropError('ERR_INTEROP_FILE', `${file}: tensor "${name}" ${what}`, { file, key: name })
  const first = `${scope}0/attention/output/adapters/weights1`
  const size = source.get(first)?.shape[1] ?? 0
  const outputs = source.get('output_weights')?.shape[0] ?? 0
  const lengths: Readonly<Record<string, readonly number[]>> = {
    weights1: [hidden, size],
    biases1: [1, size],
    weights2: [size, hidden],
    biases2: [1, hidden],
    output_weights: [outputs, hidden],
    output_bias: [outputs],
  }
  const tensors = new Map<string, FloatTensor>()
  for (const { ours, theirs, form } of pairs(layers)) {
    const tensor = source.get(theirs)
    const isNorm = theirs.includes('/LayerNorm/')
    if (!tensor && isNorm) continue
    const expected = lengths[theirs.slice(theirs.lastIndexOf('/') + 1)] ?? [tensor?.shape[0] ?? 0]
    if (!tensor) throw wrong(theirs, `is not there, expected one of [${expected.join(', ')}]`)
    // Some writers leave the one row of biases out.
    const flat = form === 'row' && tensor.shape.length === 1 ? [1, ...tensor.shape] : tensor.shape
    if (flat.join() !== expected.join())
      throw wrong(theirs, `is [${tensor.shape.join(', ')}], expected [${expected.join(', ')}]`)
    const data = tensor.floats()
    if (form === 'matrix') tensors.set(ours, transposed(expected as [number, number], data))
    else tensors.set(ours, { shape: form === 'row' ? expected.slice(1) : expected, data })
  }
  const extra = [...source.keys()].find((name) => {
    const layer = /^bert\/encoder\/layer_(\d+)\//.exec(name)?.[1]
    return layer !== undefined && Number(layer) >= layers
  })
  if (extra !== undefined) throw wrong(extra, `is of a layer that a backbone of ${layers} layers has not`)
  return { tensors, size, outputs }
}

function transposed([rows, columns]: readonly [number, number], data: Float32Array): FloatTensor {
  const turned = new Float32Array(data.length)
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) turned[c * rows + r] = data[r * columns + c]!
  return { shape: [columns, rows], data: turned }
}
