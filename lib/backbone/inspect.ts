import { checkKeys, wrongOption } from '../options.js'
import type { EncoderConfig } from '../onnx/import.js'
import { explainImport, type ImportExplanation } from '../onnx/explain.js'
import { readModelFile } from '../onnx/read.js'
import { loadBackbone } from './load.js'
import { locateBackbone } from './locate.js'

export interface InspectOptions {
  /** Compare with ONNX Runtime, where it is installed. @default true */
  readonly verify?: boolean
  /**
   * Of a file that does not lift, give the nearest match, the node that broke it and the graph around it, in place of
   * an error.
   * @default false
   */
  readonly explain?: boolean
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

/**
 * What the importer sees in a model, and how far it is from ONNX Runtime.
 * @returns an ImportExplanation, which has a `code`, only where `explain` asks for it and the file does not lift
 * @throws OptionError ERR_OPTION; OnnxImportError ERR_ONNX_*; DeviceError ERR_ADDON
 */
export async function inspect(path: string, options?: InspectOptions & { explain?: false }): Promise<Inspection>
export async function inspect(path: string, options: InspectOptions): Promise<Inspection | ImportExplanation>
export async function inspect(path: string, options: InspectOptions = {}): Promise<Inspection | ImportExplanation> {
  checkKeys('inspect', options, ['verify', 'explain'])
  const { verify = true, explain = false } = options
  if (typeof explain !== 'boolean') throw wrongOption('explain', 'true or false', explain)
  if (typeof path !== 'string' || path === '') throw wrongOption('path', 'a folder, an .onnx file or a name', path)
  if (explain) {
    const { model } = await readModelFile((await locateBackbone(path)).model)
    const explanation = explainImport(model)
    if (explanation) return explanation
  }
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
