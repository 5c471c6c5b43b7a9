import { join } from 'node:path'
import { BackboneError } from '../errors.js'
import { checkKeys, checkNumber, wrongOption } from '../options.js'
import { writeModelStream, type StreamOptions } from '../onnx/stream.js'
import { readEncoderShape, type EncoderShape, type Family } from './convert/config.js'
import { buildEncoder } from './convert/graph.js'
import { tensorNames } from './convert/names.js'
import { EncoderWeights } from './convert/weights.js'

export { supportedFamilies } from './convert/config.js'
export { parseIndex, weightFiles } from './convert/weights.js'

export interface ConvertOptions extends StreamOptions {
  /** Folder of the weights, where they do not lie beside their config. */
  readonly weights?: string
}

export interface Conversion {
  readonly family: Family
  /** The model file written. */
  readonly model: string
  /** Elements of the weights that were taken over. */
  readonly parameters: number
}

/**
 * Makes an ONNX encoder of published weights: `config.json` and `model.safetensors` (or the files that
 * `model.safetensors.index.json` names) of BERT, RoBERTa, DistilBERT or ELECTRA, with or without a head, which is left
 * out. The same weights always give the same bytes. Weights are read, widened to 32-bit floats and written tensor by
 * tensor: the largest matrix of a layer is the most that is in memory.
 *
 * @param folder holds the weights and their config
 * @param model the .onnx file to write; a model above 2 GiB has its tensors beside it in `<model>_data`
 * @throws BackboneError ERR_BACKBONE_CONFIG, ERR_BACKBONE_UNSUPPORTED, ERR_BACKBONE_WEIGHTS; RunError ERR_RUN_WRITE;
 * OptionError
 */
export async function convertWeights(folder: string, model: string, options: ConvertOptions = {}): Promise<Conversion> {
  checkKeys('convertWeights', options, ['weights', 'largestFile'])
  const { weights: weightsFolder = folder, ...stream } = options
  for (const [option, value] of Object.entries({ folder, model, weights: weightsFolder }))
    if (typeof value !== 'string' || value === '') throw wrongOption(option, 'a path', value)
  if (stream.largestFile !== undefined) checkNumber('largestFile', stream.largestFile, { least: 0, integer: true })
  const shape = await readEncoderShape(join(folder, 'config.json'))
  const weights = await EncoderWeights.open(weightsFolder)
  try {
    checkLayers(folder, shape, weights)
    const encoder = buildEncoder(shape, weights)
    await writeModelStream(encoder.model, encoder.weights, model, stream)
    const parameters = encoder.weights.reduce((sum, { bytes }) => sum + bytes / 4, 0)
    return { family: shape.family, model, parameters }
  } finally {
    await weights.close()
  }
}

/** Layers beyond those that config.json counts would be lost without a word. */
function checkLayers(folder: string, { family, layers }: EncoderShape, weights: EncoderWeights): void {
  const start = tensorNames(family)
    .layer(layers)
    .query.replace(/\d+\..*$/, '')
  const found = weights.startingWith(start).map((name) => Number.parseInt(name.slice(start.length), 10))
  const count = Math.max(-1, ...found) + 1
  if (count <= layers) return
  throw new BackboneError(
    'ERR_BACKBONE_WEIGHTS',
    `${folder}: the weights have ${count} layers, config.json counts ${layers}; they do not belong together`,
    { file: folder, found: count, expected: layers },
  )
}
