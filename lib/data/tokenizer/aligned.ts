/** Where the code units of a changed text came from: the range of the original that each stands for. */
interface Origin {
  readonly starts: ArrayLike<number>
  readonly ends: ArrayLike<number>
}

/**
 * A text after some changes, which remembers for each of its characters the range of the original that it stands for.
 * Positions are UTF-16 code units on both sides; no range cuts a character beyond the basic plane in two.
 */
export class AlignedText {
  constructor(
    readonly text: string,
    /** Absent where every code unit is in its place. */
    private readonly origin?: Origin,
  ) {}

  /**
   * The text with other characters.
   * @param each gives for a character those that stand in its place: none, itself, or others
   */
  replace(each: (character: string) => string): AlignedText {
    const change = new Change()
    this.forEach((character, start, end) => change.add(each(character), start, end))
    return change.result()
  }

  /** Calls with each character and its range in the original. */
  forEach(take: (character: string, start: number, end: number) => void): void {
    let at = 0
    for (const character of this.text) {
      take(character, ...this.rangeOf(at, at + character.length))
      at += character.length
    }
  }

  /** A part of the text; its origins are still ranges of the whole original. */
  slice(start: number, end: number): AlignedText {
    if (start === 0 && end === this.text.length) return this
    const change = new Change()
    let at = 0
    this.forEach((character, from, to) => {
      if (at >= start && at < end) change.add(character, from, to)
      at += character.length
    })
    return change.result()
  }

  /** The range of the original that a range, which must not be empty, stands for. */
  rangeOf(start: number, end: number): readonly [start: number, end: number] {
    return this.origin ? [this.origin.starts[start]!, this.origin.ends[end - 1]!] : [start, end]
  }
}

/** A changed text in the making. */
export class Change {
  private text = ''
  private readonly starts: number[] = []
  private readonly ends: number[] = []

  /** Appends characters, each of which stands for the same range of the original. */
  add(characters: string, start: number, end: number): void {
    this.text += characters
    for (let i = 0; i < characters.length; i++) {
      this.starts.push(start)
      this.ends.push(end)
    }
  }

  result(): AlignedText {
    return new AlignedText(this.text, { starts: this.starts, ends: this.ends })
  }
}
