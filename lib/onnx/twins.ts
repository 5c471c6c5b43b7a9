import { DataType, type OnnxTensor } from './schema.js'

/** So many bytes tell most weights of one shape apart. */
const sampled = 64

/**
 * Finds tensors with the same content: an exporter may write the weights that layers share once for each layer. Only
 * matrices of floats in raw bytes are looked at: vectors are small, and may be alike by chance (all zeros); matrices of
 * other content differ in their first bytes.
 */
export class Twins {
  readonly #known = new Map<string, OnnxTensor[]>()

  /** The first tensor that was given with this type, shape and content. */
  find(tensor: OnnxTensor): OnnxTensor {
    const { rawData, dataType, dims } = tensor
    if (
      !rawData ||
      dims.length !== 2 ||
      rawData.byteLength < sampled ||
      !(dataType === DataType.float || dataType === DataType.float16)
    )
      return tensor
    const start = Buffer.from(rawData.buffer, rawData.byteOffset, sampled).toString('latin1')
    const key = `${dataType} ${dims.join()} ${start}`
    const alike = this.#known.get(key)
    if (!alike) this.#known.set(key, [tensor])
    const twin = alike?.find((other) => Buffer.compare(other.rawData!, rawData) === 0)
    // Content that only begins alike is rare; a file made of it is not worth much time.
    if (alike && !twin && alike.length < 8) alike.push(tensor)
    return twin ?? tensor
  }
}
