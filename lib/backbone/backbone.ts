import type { Tokenizer } from '../data/tokenize.js'
import { DeviceError } from '../errors.js'
import type { TensorPart } from '../ir/graph.js'
import type { EncoderConfig, ImportedEncoder } from '../onnx/import.js'
import { checkKeys } from '../options.js'
import { resolveDevice, resolveThreads, type Device } from '../runtime/device.js'
import { checkPrecision, type Precision } from '../runtime/precision.js'
import { WeightPool } from '../runtime/weights.js'
import { Encoder } from '../train/encoder.js'
import type { Verification } from './verify.js'

export interface EncoderOptions {
  /** @default 'auto' */
  readonly device?: Device
  /** On the CPU all is float32; see `Precision`. @default 'auto' */
  readonly precision?: Precision
  /** @default all the system offers */
  readonly threads?: number | undefined
}

/** True for what `loadBackbone` gives. */
export function isBackbone(value: unknown): value is Backbone {
  return value instanceof Backbone
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
 * device and precision, never changed by any of them.
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
  #released = false
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

  /**
   * Lets go of the tensors as the model file holds them, once all models that will ever be needed are made: those go
   * on, but no new ones can be made.
   */
  release(): void {
    this.#released = true
    const { graph, pooler } = this.imported
    const values = [...graph.nodes.flatMap((node) => Object.values(node.inputs)), ...Object.values(pooler ?? {})]
    for (const { parts = [] } of values)
      for (const part of parts) (part as { data: TensorPart['data'] }).data = new Float32Array(0)
  }

  /**
   * The weights as a device wants them; the same object for everybody.
   * @param target of a `ResolvedDevice`
   * @throws {DeviceError} ERR_DISPOSED after `release`
   */
  weights(target: string): WeightPool {
    if (this.#released) throw new DeviceError('ERR_DISPOSED', `the backbone "${this.name}" was released: load it again`)
    const before = this.#pools.get(target)
    if (before) return before
    const pool = new WeightPool(target)
    this.#pools.set(target, pool)
    return pool
  }

  /** The frozen encoder alone. @throws {OptionError} ERR_OPTION; {DeviceError} ERR_DEVICE, ERR_MEMORY */
  async encoder(options: EncoderOptions = {}): Promise<Encoder> {
    checkKeys('encoder', options, ['device', 'precision', 'threads'])
    const { device, precision = 'auto' } = options
    const threads = resolveThreads(options.threads)
    checkPrecision(precision, device)
    const { target } = resolveDevice(device, precision)
    return Encoder.create(this.imported, this.weights(target), threads)
  }
}
