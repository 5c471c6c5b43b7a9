/** A set of code points, made from the text form of the tables in unicode.ts. */
export class CodePoints {
  /** One byte a code point of the basic plane: a lookup there is one load. */
  private readonly basic = new Uint8Array(0x10000)
  private readonly starts: number[] = []
  private readonly ends: number[] = []

  /** @param text ranges in ascending order, `21-2f a1 10100-10102` */
  constructor(text: string) {
    for (const range of text.split(' ')) {
      const [first, last = first] = range.split('-').map((end) => Number.parseInt(end, 16)) as [number, number?]
      if (first < 0x10000) this.basic.fill(1, first, Math.min(last, 0xffff) + 1)
      if (last >= 0x10000) {
        this.starts.push(Math.max(first, 0x10000))
        this.ends.push(last)
      }
    }
  }

  has(code: number): boolean {
    if (code < 0x10000) return this.basic[code] === 1
    let low = 0
    let high = this.starts.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.ends[middle]! < code) low = middle + 1
      else high = middle
    }
    return low < this.starts.length && this.starts[low]! <= code
  }
}
