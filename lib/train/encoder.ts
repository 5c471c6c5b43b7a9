import { seedWords } from '../adapters/init.js'
import { unpackRows } from '../data/pack.js'
import type { ImportedEncoder } from '../onnx/import.js'
import { Session } from '../runtime/session.js'
import type { WeightPool } from '../runtime/weights.js'
import { encoderLimits, packRows, type EncoderLimits, type Rows } from './batch.js'
import { compileEncoder } from './compile.js'

/** The frozen encoder alone: token rows in, hidden states out. */
export class Encoder {
  /** Width C of a hidden state. */
  readonly hidden: number
  readonly #session: Session
  readonly #limits: EncoderLimits

  private constructor(session: Session, encoder: ImportedEncoder) {
    this.#session = session
    this.#limits = encoderLimits(encoder.graph, encoder.config)
    this.hidden = Number(encoder.graph.outputs.hidden!.shape[1])
  }

  static async create(encoder: ImportedEncoder, weights: WeightPool, threads: number): Promise<Encoder> {
    const session = await Session.create({ ...compileEncoder(encoder), weights, threads, seed: seedWords(0) })
    return new Encoder(session, encoder)
  }

  /**
   * The last layer's hidden states: one f32[length · hidden] per row.
   * @throws {DataError} ERR_DATA_*; {DeviceError} ERR_BUSY while an earlier call is not finished, ERR_DISPOSED
   */
  async encode(rows: Rows): Promise<Float32Array[]> {
    const batch = packRows(rows, this.#limits)
    const { outputs } = await this.#session.run('encode', [batch])
    return unpackRows(outputs[0]!, batch.cu, this.hidden, true)
  }

  dispose(): Promise<void> {
    return this.#session.dispose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }
}
