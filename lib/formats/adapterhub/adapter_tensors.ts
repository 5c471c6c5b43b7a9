/** Tensors of an adapter in the `adapters` library, and by the names of a run. */

import type { FloatTensor } from '../safetensors.js'
import type { AdapterPlan } from './config.js'
import { currentName, embeddingNorm, type HubFamily, type Place } from './names.js'
import { invalid, unsupported } from './wrong.js'

/** A tensor of a file, of which only the values that are used are converted. */
export interface SourceTensor {
  readonly shape: readonly number[]
  floats(): Float32Array
}

export type SourceTensors = ReadonlyMap<string, SourceTensor>
export type Tensors = ReadonlyMap<string, FloatTensor>

const places: readonly Place[] = ['attention', 'ffn']
const parts = ['weight', 'bias'] as const

/** The encoder that an adapter is for. */
export interface EncoderSize {
  readonly layers: number
  readonly hidden: number
}

/** Tensors of a run as the library calls them. @param withNorms false: adapters alone */
export function toHubTensors(
  tensors: Tensors,
  name: string,
  { prefix, structure }: HubFamily,
  layers: number,
  withNorms: boolean,
): Map<string, FloatTensor> {
  const written = new Map<string, FloatTensor>()
  const take = (from: string, to: string) => {
    const tensor = tensors.get(from)
    if (tensor) written.set(prefix + to, tensor)
  }
  const takeBoth = (from: string, to: string) => {
    for (const part of parts) take(`${from}.${part}`, `${to}.${part}`)
  }
  if (withNorms) takeBoth('embeddings.layer_norm', embeddingNorm)
  for (let layer = 0; layer < layers; layer++) {
    for (const place of places) {
      const adapter = `${structure.holder(layer, place)}.adapters.${name}`
      takeBoth(`layer.${layer}.${place}.adapter.down`, `${adapter}.adapter_down.0`)
      takeBoth(`layer.${layer}.${place}.adapter.up`, `${adapter}.adapter_up`)
      if (withNorms) takeBoth(`layer.${layer}.${place}.layer_norm`, structure.norm(layer, place))
    }
  }
  return written
}

export interface ReadAdapter {
  /** By the names of a run. */
  readonly tensors: Map<string, FloatTensor>
  /** The widest bottleneck; narrower ones are filled up with zeros, which change nothing. */
  readonly size: number
  /** Layers that have adapters. */
  readonly layers: readonly number[]
  readonly hasNorms: boolean
}

/**
 * Tensors of a file by the names of a run. What belongs to other adapters is left out; what belongs to the encoder
 * itself, LayerNorms apart, is refused, since the library would load it.
 * @throws InteropError ERR_INTEROP_FILE, ERR_INTEROP_UNSUPPORTED with `details.key`, the tensor
 */
export function fromHubTensors(
  source: SourceTensors,
  plan: AdapterPlan,
  family: HubFamily,
  size: EncoderSize,
  file: string,
): ReadAdapter {
  const reader = new Reader(source, family, file)
  const layers = Array.from({ length: size.layers }, (_, i) => i).filter((i) => !plan.leaveOut.includes(i))
  const widest = layers.reduce((most, layer) => Math.max(most, plan.size(layer, size.hidden)), 1)
  // Before room is made for any: the configuration alone cannot ask for gigabytes.
  for (const layer of layers)
    for (const place of places) if (plan[place]) checkAdapter(reader, plan, family, size.hidden, layer, place)
  const tensors = new Map<string, FloatTensor>()
  for (const layer of layers)
    for (const place of places) readAdapter(reader, plan, family, size.hidden, layer, place, widest, tensors)
  const before = tensors.size
  readNorms(reader, family, size, tensors)
  reader.refuseRest(plan.name)
  return { tensors, size: widest, layers, hasNorms: tensors.size > before }
}

/** Takes tensors out of a file, so that what is left is known. */
class Reader {
  readonly #left = new Map<string, SourceTensor>()

  constructor(
    source: SourceTensors,
    private readonly family: HubFamily,
    private readonly file: string,
  ) {
    for (const [name, tensor] of source) {
      const current = currentName(name, family)
      if (this.#left.has(current)) throw invalid(file, name, `two tensors mean "${current}"`)
      this.#left.set(current, tensor)
    }
  }

  has(name: string): boolean {
    return this.#left.has(name)
  }

  take(name: string, shape: readonly number[]): Float32Array {
    const tensor = this.check(name, shape)
    this.#left.delete(name)
    return tensor.floats()
  }

  /** @throws InteropError ERR_INTEROP_FILE where it is not there, or has another shape */
  check(name: string, shape: readonly number[]): SourceTensor {
    const tensor = this.#left.get(name)
    const expected = `[${shape.join(', ')}]`
    if (!tensor) throw invalid(this.file, name, `it has no tensor "${name}", expected one of ${expected}`)
    const same = tensor.shape.length === shape.length && shape.every((n, i) => n === tensor.shape[i])
    if (!same) {
      const found = `[${tensor.shape.join(', ')}]`
      throw invalid(this.file, name, `tensor "${name}" is ${found}, expected ${expected}`, {
        found: tensor.shape,
        expected: shape,
      })
    }
    return tensor
  }

  /** A tensor of one dimension, whatever its length: the model that takes it checks that. */
  takeVector(name: string): Float32Array {
    return this.take(name, [this.#left.get(name)?.shape[0] ?? 0])
  }

  /** What is left is of others, or of an adapter that does more than is known, or would change the encoder. */
  refuseRest(name: string): void {
    const own = `.adapters.${name}.`
    const encoder = /^(?:embeddings|encoder|transformer|pooler|embeddings_project)\./
    for (const left of this.#left.keys()) {
      if (left.includes(own)) throw unsupported(this.file, left, 'a tensor of the adapter', 'none of this name')
      if (encoder.test(left) && !left.includes('.adapters.') && !left.includes('adapter_fusion_layer'))
        throw unsupported(
          this.file,
          left,
          "a tensor of the encoder's own",
          `adapters and LayerNorms of ${this.family.prefix}`,
        )
    }
  }
}

/** Its matrices are there, and of the size that the configuration says. */
function checkAdapter(
  reader: Reader,
  plan: AdapterPlan,
  { structure }: HubFamily,
  hidden: number,
  layer: number,
  place: Place,
): void {
  const name = `${structure.holder(layer, place)}.adapters.${plan.name}`
  const size = plan.size(layer, hidden)
  reader.check(`${name}.adapter_down.0.weight`, [size, hidden])
  reader.check(`${name}.adapter_up.weight`, [hidden, size])
}

function readAdapter(
  reader: Reader,
  plan: AdapterPlan,
  { structure }: HubFamily,
  hidden: number,
  layer: number,
  place: Place,
  widest: number,
  tensors: Map<string, FloatTensor>,
): void {
  const ours = `layer.${layer}.${place}.adapter`
  const down = new Float32Array(widest * hidden)
  const downBias = new Float32Array(widest)
  const up = new Float32Array(hidden * widest)
  const upBias = new Float32Array(hidden)
  // Where there is none, zeros add nothing.
  if (plan[place]) {
    const name = `${structure.holder(layer, place)}.adapters.${plan.name}`
    const size = plan.size(layer, hidden)
    down.set(reader.take(`${name}.adapter_down.0.weight`, [size, hidden]))
    downBias.set(reader.take(`${name}.adapter_down.0.bias`, [size]))
    const factors = readScaling(reader, plan, `${name}.scaling`, hidden)
    const narrow = reader.take(`${name}.adapter_up.weight`, [hidden, size])
    const bias = reader.take(`${name}.adapter_up.bias`, [hidden])
    for (let row = 0; row < hidden; row++) {
      const factor = factors(row)
      for (let column = 0; column < size; column++) up[row * widest + column] = factor * narrow[row * size + column]!
      upBias[row] = factor * bias[row]!
    }
  }
  tensors.set(`${ours}.down.weight`, { shape: [widest, hidden], data: down })
  tensors.set(`${ours}.down.bias`, { shape: [widest], data: downBias })
  tensors.set(`${ours}.up.weight`, { shape: [hidden, widest], data: up })
  tensors.set(`${ours}.up.bias`, { shape: [hidden], data: upBias })
}

/** What each row of the output is multiplied by: goes into the weights. */
function readScaling(reader: Reader, { scaling }: AdapterPlan, name: string, hidden: number): (row: number) => number {
  if (typeof scaling === 'number') return () => scaling
  const values = reader.take(name, [scaling === 'learned' ? 1 : hidden])
  return scaling === 'learned' ? () => values[0]! : (row) => values[row]!
}

/** LayerNorms that the file has: some, all or none. */
function readNorms(
  reader: Reader,
  { structure }: HubFamily,
  { layers, hidden }: EncoderSize,
  tensors: Map<string, FloatTensor>,
) {
  const read = (from: string, to: string) => {
    for (const part of parts) {
      const name = `${from}.${part}`
      if (reader.has(name)) tensors.set(`${to}.${part}`, { shape: [hidden], data: reader.take(name, [hidden]) })
    }
  }
  for (let layer = 0; layer < layers; layer++)
    for (const place of places) read(structure.norm(layer, place), `layer.${layer}.${place}.layer_norm`)
  for (const part of parts) {
    const name = `${embeddingNorm}.${part}`
    if (!reader.has(name)) continue
    // In front of a projection the tables are narrower.
    const data = reader.takeVector(name)
    tensors.set(`embeddings.layer_norm.${part}`, { shape: [data.length], data })
  }
}
