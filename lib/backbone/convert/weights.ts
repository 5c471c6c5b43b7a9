import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BackboneError } from '../../errors.js'
import { SafetensorsFile } from '../../formats/safetensors_file.js'
import { kindOf } from '../kind.js'
import { prefixes } from './names.js'

/** A tensor of the published weights; its values are read when they are wanted. */
export interface Weight {
  /** Name in the file, without the prefix. */
  readonly name: string
  readonly shape: readonly number[]
  /** 32-bit floats in order, a part at a time. */
  readonly floats: () => AsyncIterable<Float32Array>
}

/** Files that weights are looked for in, in order: the whole model, or the list of its parts. */
export const weightFiles = ['model.safetensors', 'model.safetensors.index.json'] as const

/** The tensors of an encoder, in one safetensors file or in several, by the names that its family has. */
export class EncoderWeights {
  readonly #files: readonly SafetensorsFile[]
  readonly #holders: ReadonlyMap<string, SafetensorsFile>
  readonly #prefix: string

  private constructor(
    files: readonly SafetensorsFile[],
    holders: ReadonlyMap<string, SafetensorsFile>,
    prefix: string,
  ) {
    this.#files = files
    this.#holders = holders
    this.#prefix = prefix
  }

  /**
   * Opens `model.safetensors`, or the files that `model.safetensors.index.json` names, and finds the encoder in them.
   * @throws BackboneError ERR_BACKBONE_WEIGHTS
   */
  static async open(folder: string): Promise<EncoderWeights> {
    const files: SafetensorsFile[] = []
    try {
      const holders = new Map<string, SafetensorsFile>()
      for (const path of await listFiles(folder)) {
        const file = await SafetensorsFile.open(path).catch((cause: unknown) => {
          throw new BackboneError('ERR_BACKBONE_WEIGHTS', (cause as Error).message, { file: path }, { cause })
        })
        files.push(file)
        for (const name of file.tensors.keys()) holders.set(name, file)
      }
      return new EncoderWeights(files, holders, findPrefix(holders.keys(), folder))
    } catch (error) {
      for (const file of files) await file.close()
      throw error
    }
  }

  has(name: string): boolean {
    return this.#holders.has(this.#prefix + name)
  }

  /** Names with the start that is asked for, without the prefix. */
  startingWith(start: string): string[] {
    const whole = this.#prefix + start
    return [...this.#holders.keys()]
      .filter((name) => name.startsWith(whole))
      .map((name) => name.slice(this.#prefix.length))
  }

  /**
   * A tensor that must have the shape.
   * @throws BackboneError ERR_BACKBONE_WEIGHTS where it is missing or has another shape or type
   */
  get(name: string, shape: readonly number[]): Weight {
    const found = this.#find(name)
    const expected = `[${shape.join(', ')}]`
    if (!found) {
      const [file] = this.#files
      throw new BackboneError(
        'ERR_BACKBONE_WEIGHTS',
        `${dirname(file!.file)}: the weights have no tensor "${this.#prefix}${name}", expected ${expected}; config.json and weights do not belong together, or the file holds another model`,
        { file: file!.file, tensor: this.#prefix + name, expected: shape },
      )
    }
    const { stored, file } = found
    const place = file.tensors.get(stored)!
    const wrong = (what: string, got: unknown, wanted: unknown) =>
      new BackboneError('ERR_BACKBONE_WEIGHTS', `${file.file}: tensor "${stored}" ${what}`, {
        file: file.file,
        tensor: stored,
        found: got,
        expected: wanted,
      })
    if (place.shape.join() !== shape.join())
      throw wrong(`has the shape [${place.shape.join(', ')}], expected ${expected} by config.json`, place.shape, shape)
    if (!['F32', 'F16', 'BF16'].includes(place.type))
      throw wrong(`is ${place.type}, expected F32, F16 or BF16`, place.type, ['F32', 'F16', 'BF16'])
    return { name, shape, floats: () => file.floats(stored) }
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close()
  }

  /** Weights from TensorFlow call scale and shift of a LayerNorm gamma and beta. */
  #find(name: string): { stored: string; file: SafetensorsFile } | undefined {
    const old = name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta')
    for (const stored of [this.#prefix + name, this.#prefix + old]) {
      const file = this.#holders.get(stored)
      if (file) return { stored, file }
    }
    return undefined
  }
}

async function listFiles(folder: string): Promise<string[]> {
  const [whole, index] = weightFiles.map((name) => join(folder, name))
  if ((await kindOf(whole!)) === 'file') return [whole!]
  if ((await kindOf(index!)) !== 'file') {
    throw new BackboneError('ERR_BACKBONE_WEIGHTS', `${folder}: has neither ${weightFiles.join(' nor ')}`, {
      file: folder,
      expected: weightFiles,
    })
  }
  return [...new Set(parseIndex(await readFile(index!, 'utf8'), index!))].map((name) => join(folder, name))
}

/**
 * The names of the files that hold a model's parts.
 * @throws BackboneError ERR_BACKBONE_WEIGHTS
 */
export function parseIndex(text: string, file: string): string[] {
  const wrong = (what: string, cause?: unknown) =>
    new BackboneError(
      'ERR_BACKBONE_WEIGHTS',
      `${file}: not the index of safetensors files: ${what}`,
      { file },
      { cause },
    )
  let index: { weight_map?: unknown } | null
  try {
    index = JSON.parse(text) as typeof index
  } catch (cause) {
    throw wrong('not valid JSON', cause)
  }
  const map = index?.weight_map
  if (typeof map !== 'object' || map === null) throw wrong('it has no "weight_map"')
  const names = [...new Set(Object.values(map as Record<string, unknown>))]
  for (const name of names) {
    if (typeof name !== 'string' || name !== basename(name) || !name.endsWith('.safetensors'))
      throw wrong(`it names ${JSON.stringify(name)}, which is no safetensors file beside it`)
  }
  return names as string[]
}

const marker = 'embeddings.word_embeddings.weight'

/** What stands before all names of the encoder: known words first, else the only one that there is. */
function findPrefix(names: Iterable<string>, folder: string): string {
  const all = [...names]
  const found = all.filter((name) => name.endsWith(marker)).map((name) => name.slice(0, -marker.length))
  const prefix = prefixes.find((known) => found.includes(known)) ?? (found.length === 1 ? found[0] : undefined)
  if (prefix !== undefined) return prefix
  const why =
    found.length === 0
      ? `no tensor "${marker}" among the ${all.length} in it`
      : `several encoders in it (${found.map((name) => `"${name}"`).join(', ')})`
  throw new BackboneError(
    'ERR_BACKBONE_WEIGHTS',
    `${folder}: the weights are not those of a BERT-like encoder: ${why}`,
    {
      file: folder,
      expected: marker,
      found,
    },
  )
}
