import { dirname, join } from 'node:path'
import { Tokenizer } from '../data/tokenize.js'
import { DataError } from '../errors.js'
import { importEncoder, type ImportedEncoder } from '../onnx/import.js'
import { externalFiles } from '../onnx/external.js'
import { readModel, readModelFile } from '../onnx/read.js'
import { readRecords } from '../onnx/records.js'
import { checkKeys, wrongOption } from '../options.js'
import { encoderLimits } from '../train/batch.js'
import { Backbone } from './backbone.js'
import type { FetchOptions } from './fetch.js'
import { hashFiles } from './hash.js'
import { locateBackbone } from './locate.js'
import type { BackboneFiles } from './resolve.js'
import { verifyAgainstRuntime, type Verification } from './verify.js'

export interface LoadBackboneOptions extends FetchOptions {
  /** Compare with ONNX Runtime, where it is installed. @default true */
  readonly verify?: boolean
}

/**
 * Loads a frozen encoder to share: finds its files, imports it, and compares what it computes with ONNX Runtime (the
 * result is remembered, so that a file is compared once).
 *
 * @param path a folder with `model.onnx` or `onnx/model.onnx`, or an `.onnx` file; or a name, as `fetchBackbone` takes
 * them, of a backbone that is in the cache or is brought there
 * @throws OnnxImportError ERR_ONNX_*; BackboneError ERR_BACKBONE_*; OptionError ERR_OPTION; DeviceError ERR_ADDON
 */
export async function loadBackbone(path: string, options: LoadBackboneOptions = {}): Promise<Backbone> {
  checkKeys('loadBackbone', options, ['verify', 'onProgress', 'signal'])
  const { verify = true } = options
  if (typeof path !== 'string' || path === '') throw wrongOption('path', 'a folder, an .onnx file or a name', path)
  if (typeof verify !== 'boolean') throw wrongOption('verify', 'true or false', verify)
  const files = await locateBackbone(path, options)
  const { model, bytes, external } = await readModelFile(files.model)
  const imported = importEncoder(model)
  const backbone = new Backbone({
    name: files.name,
    file: files.model,
    sha256: await hashFiles([bytes, ...external]),
    imported,
    loadTokenizer: () => loadTokenizer(files, imported),
    verify: compare,
  })
  if (verify) await backbone.verify()
  return backbone
}

/**
 * As `loadBackbone`, without the contents of its weights: for those who look at its structure, and compute nothing with
 * it. The file is hashed and followed, and never held.
 */
export async function loadStructure(path: string): Promise<Backbone> {
  const files = await locateBackbone(path, {})
  const { model: sparse } = await readRecords(files.model)
  const external = (await externalFiles(sparse, files.model)).map(({ path }) => path)
  // Tensors in other files are looked at too: those are read as ever.
  const model = external.length > 0 ? await readModel(files.model) : sparse
  const imported = importEncoder(model, false)
  const backbone = new Backbone({
    name: files.name,
    file: files.model,
    sha256: await hashFiles([files.model, ...external]),
    imported,
    loadTokenizer: () => loadTokenizer(files, imported),
    verify: compare,
  })
  backbone.release()
  return backbone
}

/** @throws DataError ERR_TOKENIZER where there is none, or where it has ids that the encoder has no row for */
async function loadTokenizer(files: BackboneFiles, { config }: ImportedEncoder): Promise<Tokenizer> {
  if (files.tokenizer === undefined) {
    const folder = dirname(files.model)
    throw new DataError(
      'ERR_TOKENIZER',
      `${folder}: no tokenizer.json beside the model; text cannot be read without one`,
      {
        file: files.model,
        expected: join(folder, 'tokenizer.json'),
      },
    )
  }
  const tokenizer = await Tokenizer.load(files.tokenizer)
  if (tokenizer.vocabularySize > config.vocabulary) {
    throw new DataError(
      'ERR_TOKENIZER',
      `${files.tokenizer}: has token ids up to ${tokenizer.vocabularySize - 1}, but the model's table has ${config.vocabulary} rows: ` +
        'tokenizer and model do not belong together',
      { file: files.tokenizer, found: tokenizer.vocabularySize, expected: config.vocabulary },
    )
  }
  return tokenizer
}

async function compare(backbone: Backbone): Promise<Verification> {
  const { imported, file, sha256 } = backbone
  const { config, hiddenOutput, hiddenIsGraphOutput, inputNames, fixedShape } = imported
  let encoder: Awaited<ReturnType<Backbone['encoder']>> | undefined
  try {
    return await verifyAgainstRuntime({
      file,
      sha256,
      value: hiddenOutput,
      isGraphOutput: hiddenIsGraphOutput,
      inputNames,
      ...(fixedShape ? { fixedShape } : {}),
      half: config.weightType === 'f16',
      vocabulary: config.vocabulary,
      positions: config.positions,
      tokenTypes: encoderLimits(imported.graph).tokenTypes,
      encode: async (rows) => {
        // What is compared is the import, so in float32; a GPU's memory is left alone.
        encoder ??= await backbone.encoder({ device: 'cpu' })
        return encoder.encode(rows)
      },
    })
  } finally {
    await encoder?.dispose()
  }
}
