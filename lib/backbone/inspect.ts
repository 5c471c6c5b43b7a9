import { checkKeys } from '../options.js'
import type { EncoderConfig } from '../onnx/import.js'
import { loadBackbone } from './load.js'

export interface InspectOptions {
  /** Compare with ONNX Runtime, where it is installed. @default true */
  readonly verify?: boolean
}

/** What the importer sees in a model file. */
export interface Inspection {
  readonly architecture: string
  readonly layers: number
  /** Width C. */
  readonly hidden: number
  readonly heads: number
  /** Width F. */
  readonly feedForward: number
  readonly activation: string
  readonly vocabulary: number
  /** Longest row, tokens. */
  readonly positions: number
  /** True where the file has the pooler. */
  readonly pooler: boolean
  /** Scalars in the file that the encoder uses, the pooler's included. */
  readonly parameters: number
  /** Scalars that adapters of a size and all LayerNorms have; a task's head comes on top. */
  readonly trainedParameters: Readonly<Record<string, number>>
  /** Largest difference from ONNX Runtime; null where it was not compared. */
  readonly maxAbsDifference: number | null
  /** Why it was not compared, or why the difference is worth a word. */
  readonly warning?: string
}

const sizes = [8, 64, 256]

/** @throws OptionError ERR_OPTION; OnnxImportError ERR_ONNX_*; DeviceError ERR_ADDON */
export async function inspect(path: string, options: InspectOptions = {}): Promise<Inspection> {
  checkKeys('inspect', options, ['verify'])
  const { verify = true } = options
  const backbone = await loadBackbone(path, { verify })
  const { maxAbsDifference = null, warning } = verify ? await backbone.verify() : {}
  const { architecture, layers, hidden, heads, feedForward, activation, vocabulary, positions, pooler, parameters } =
    backbone.config
  const trainedParameters = Object.fromEntries(sizes.map((size) => [size, countTrained(backbone.config, size)]))
  return {
    architecture,
    layers,
    hidden,
    heads,
    feedForward,
    activation,
    vocabulary,
    positions,
    pooler,
    parameters,
    trainedParameters,
    maxAbsDifference,
    ...(warning ? { warning } : {}),
  }
}

/** Two adapters a layer, 2·M·C + C + M each, and scale and shift of 2·layers + 1 LayerNorms (Houlsby et al. 2019 §2.1). */
function countTrained({ layers, hidden }: EncoderConfig, size: number): number {
  return 2 * layers * (2 * size * hidden + hidden + size) + 2 * hidden * (2 * layers + 1)
}
