import { Change, type AlignedText } from './aligned.js'
import type { ByteLevelPreTokenizer } from './library.js'
import type { Words } from './offsets.js'

const utf8 = new TextEncoder()

/**
 * Words of the byte-level splitter: in their text one character stands for one byte, whose origin is the whole
 * character that the byte is part of. The space that may be put before a text stands for its first character.
 */
export function splitByteLevel(text: AlignedText, splitter: ByteLevelPreTokenizer): Words {
  const source = splitter.add_prefix_space && !text.text.startsWith(' ') ? withSpace(text) : text
  const found = splitter.use_regex ? [...source.text.matchAll(splitter.pattern)].map(([word]) => word) : [source.text]
  const bytes = new Change()
  const ranges: [number, number][] = []
  let at = 0
  let end = 0
  for (const word of found) {
    const start = end
    for (const character of word) {
      const symbols = Array.from(utf8.encode(character), (byte) => splitter.byte_encoder[byte]!).join('')
      bytes.add(symbols, ...source.rangeOf(at, at + character.length))
      at += character.length
      end += symbols.length
    }
    ranges.push([start, end])
  }
  return { aligned: bytes.result(), ranges }
}

function withSpace(text: AlignedText): AlignedText {
  const change = new Change()
  let space = ' '
  text.forEach((character, start, end) => {
    change.add(space + character, start, end)
    space = ''
  })
  return change.result()
}

/**
 * What `trim_offsets` of the post-processor does: as many characters as the token has white space at an end do not
 * count, except for the one space that was put before the text.
 * @param token what it is made of, bytes as their symbols
 * @param range of the text
 * @param first true for the first token of a text
 */
export function trimSpaces(
  token: string,
  text: string,
  [start, end]: readonly [start: number, end: number],
  first: boolean,
  addedSpace: boolean,
): readonly [start: number, end: number] {
  const spaces = /^[Ġ\s]*/u.exec(token)![0].length
  const before = spaces === 1 && addedSpace && (first || start === 0) ? 0 : spaces
  const after = /[Ġ\s]*$/u.exec(token)![0].length
  const from = Math.min(move(text, start, before), end)
  return [from, Math.max(move(text, end, -after), from)]
}

/** A position some characters on, or back; not beyond the ends. */
function move(text: string, position: number, characters: number): number {
  for (let i = 0; i < characters && position < text.length; i++)
    position += text.codePointAt(position)! > 0xffff ? 2 : 1
  for (let i = 0; i > characters && position > 0; i--) {
    const pair = position > 1 && text.codePointAt(position - 2)! > 0xffff
    position -= pair ? 2 : 1
  }
  return position
}
