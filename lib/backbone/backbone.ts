import type { Tokenizer } from '../data/tokenize.js'
import type { EncoderConfig, ImportedEncoder } from '../onnx/import.js'
import { checkKeys } from '../options.js'
import { resolveDevice, resolveThreads, type Device } from '../runtime/device.js'
import { WeightPool } from '../runtime/weights.js'
import { Encoder } from '../train/encoder.js'
import type { Verification } from './verify.js'

export interface EncoderOptions {
  /** @default 'auto' */
  readonly device?: Device
  /** @default all the system offers */
  readonly threads?: number | undefined
}

export interface BackboneSource {
  /** What it is called in reports. */
  readonly name: string
  /** The .onnx file. */
  readonly file: string
  /** Of the model and of its external data, in hexadecimal. */
  readonly sha256: string
  readonly imported: ImportedEncoder
  /** Reads the tokenizer beside the model; called once, when text is first met. */
  readonly loadTokenizer: () => Promise<Tokenizer>
  /** Compares what the encoder computes with ONNX Runtime on the same file; called once. */
  readonly verify: (backbone: Backbone) => Promise<Verification>
}

/**
 * A frozen encoder that trainers, encoders and predictors share: imported once, its weights packed once per
 * instruction set, never changed by any of them.
 */
export class Backbone {
  /** What it is called in reports. */
  readonly name: string
  /** The .onnx file it came from. */
  readonly file: string
  /** Of the model and of its external data, in hexadecimal. */
  readonly sha256: string
  readonly imported: ImportedEncoder
  readonly #loadTokenizer: () => Promise<Tokenizer>
  readonly #pools = new Map<string, WeightPool>()
  readonly #verify: (backbone: Backbone) => Promise<Verification>
  #tokenizer: Promise<Tokenizer> | undefined
  #verification: Promise<Verification> | undefined

  constructor({ name, file, sha256, imported, loadTokenizer, verify }: BackboneSource) {
    this.name = name
    this.file = file
    this.sha256 = sha256
    this.imported = imported
    this.#loadTokenizer = loadTokenizer
    this.#verify = verify
  }

  get config(): EncoderConfig {
    return this.imported.config
  }

  /** The tokenizer beside the model. @throws {DataError} ERR_TOKENIZER where there is none */
  tokenizer(): Promise<Tokenizer> {
    return (this.#tokenizer ??= this.#loadTokenizer())
  }

  /**
   * Compares the import with ONNX Runtime, the first time it is asked.
   * @throws {OnnxImportError} ERR_ONNX_DIFFERS where it computes something else
   */
  verify(): Promise<Verification> {
    return (this.#verification ??= this.#verify(this))
  }

  /** The weights as an instruction set wants them; the same object for everybody. */
  weights(isa: string): WeightPool {
    const before = this.#pools.get(isa)
    if (before) return before
    const pool = new WeightPool(isa)
    this.#pools.set(isa, pool)
    return pool
  }

  /** The frozen encoder alone. @throws {OptionError} ERR_OPTION; {DeviceError} ERR_DEVICE, ERR_MEMORY */
  async encoder(options: EncoderOptions = {}): Promise<Encoder> {
    checkKeys('encoder', options, ['device', 'threads'])
    const threads = resolveThreads(options.threads)
    const { isa } = resolveDevice(options.device)
    return Encoder.create(this.imported, this.weights(isa), threads)
  }
}
