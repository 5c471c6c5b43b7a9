/** Collects little-endian 32-bit words. */
export class ByteWriter {
  readonly #words: number[] = []

  get length(): number {
    return this.#words.length * 4
  }

  words(...words: readonly number[]): void {
    for (const word of words) this.#words.push(word)
  }

  /** A non-negative integer up to 2^53 as low and high word. */
  long(value: number): void {
    this.words(value % 0x1_0000_0000, Math.floor(value / 0x1_0000_0000))
  }

  bytes(): Uint8Array {
    const view = new DataView(new ArrayBuffer(this.length))
    this.#words.forEach((word, i) => view.setUint32(4 * i, word, true))
    return new Uint8Array(view.buffer)
  }

  static join(...parts: readonly Uint8Array[]): Uint8Array {
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
    let offset = 0
    for (const part of parts) {
      all.set(part, offset)
      offset += part.length
    }
    return all
  }
}

/** UTF-8 strings one after the other, each once. */
export class StringTable {
  readonly #parts: Uint8Array[] = []
  readonly #places = new Map<string, [number, number]>()
  #length = 0

  /** Offset and length in bytes. */
  add(text: string): [number, number] {
    const before = this.#places.get(text)
    if (before) return before
    const bytes = new TextEncoder().encode(text)
    const place: [number, number] = [this.#length, bytes.length]
    this.#parts.push(bytes)
    this.#length += bytes.length
    this.#places.set(text, place)
    return place
  }

  /** Padded with zeros to whole words. */
  bytes(): Uint8Array {
    return ByteWriter.join(...this.#parts, new Uint8Array((4 - (this.#length % 4)) % 4))
  }
}
