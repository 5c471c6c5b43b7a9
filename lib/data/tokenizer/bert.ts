/**
 * BERT's normaliser, splitter and word pieces with the results of Python's `tokenizers`. Where they differ from the
 * classes of `@huggingface/tokenizers` that they replace:
 *
 * - character classes come from the Rust library's own, older Unicode tables (unicode.ts), so a letter or punctuation
 *   mark that is newer than they are is treated alike;
 * - ideographs beyond the basic plane are split off too;
 * - accents are stripped before lower-casing, and every letter is lower-cased by itself: a capital sigma at the end of
 *   a word becomes σ, never ς;
 * - words are split at Unicode white space only (JavaScript's `\s` has U+FEFF too);
 * - a word is cut into pieces once: texts repeat their words, and the cache makes encoding several times faster.
 */

import { Normalizer, PreTokenizer, WordPiece } from './library.js'
import { CodePoints } from './ranges.js'
import { controls, decomposed, ideographs, marks, punctuation } from './unicode.js'

export interface BertNormalizerOptions {
  readonly clean_text: boolean
  readonly handle_chinese_chars: boolean
  /** Absent or null: as `lowercase`. */
  readonly strip_accents?: boolean | null
  readonly lowercase: boolean
}

const sets = {
  controls: new CodePoints(controls),
  decomposed: new CodePoints(decomposed),
  ideographs: new CodePoints(ideographs),
  marks: new CodePoints(marks),
  punctuation: new CodePoints(punctuation),
  whiteSpace: new CodePoints('9-d 20 85 a0 1680 2000-200a 2028-2029 202f 205f 3000'),
}

const printableAscii = /^[ -~]*$/

export class BertNormalizer extends Normalizer {
  private readonly options: BertNormalizerOptions

  constructor(options: BertNormalizerOptions) {
    super(options)
    this.options = options
  }

  override normalize(text: string): string {
    const { clean_text, handle_chinese_chars, lowercase } = this.options
    const strip = this.options.strip_accents ?? lowercase
    if (!printableAscii.test(text)) {
      if (clean_text || handle_chinese_chars) text = spaceOut(text, clean_text, handle_chinese_chars)
      if (strip) text = stripAccents(text)
    }
    return lowercase ? lower(text) : text
  }
}

/** Drops control characters, turns white space into spaces, and puts spaces around ideographs. */
function spaceOut(text: string, clean: boolean, chinese: boolean): string {
  let result = ''
  for (const character of text) {
    const code = character.codePointAt(0)!
    if (clean && (sets.controls.has(code) || isLoneSurrogate(code))) continue
    if (clean && sets.whiteSpace.has(code)) result += ' '
    else if (chinese && sets.ideographs.has(code)) result += ` ${character} `
    else result += character
  }
  return result
}

function isLoneSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff
}

/**
 * Canonical decomposition without its nonspacing marks. Letters beyond the basic plane are decomposed one by one,
 * because the newest of them must stay whole.
 */
function stripAccents(text: string): string {
  const whole = text.replace(/[\0-\uffff]+|[\u{10000}-\u{10ffff}]/gu, (part) =>
    part.codePointAt(0)! < 0x10000 || sets.decomposed.has(part.codePointAt(0)!) ? part.normalize('NFD') : part,
  )
  let result = ''
  for (const character of whole) if (!sets.marks.has(character.codePointAt(0)!)) result += character
  return result
}

/** Lower case without context. */
function lower(text: string): string {
  return (text.includes('Σ') ? text.replaceAll('Σ', 'σ') : text).toLowerCase()
}

export class BertPreTokenizer extends PreTokenizer {
  override pre_tokenize_text(text: string): string[] {
    const words: string[] = []
    let start = 0
    for (let i = 0; i < text.length;) {
      const code = text.codePointAt(i)!
      const width = code > 0xffff ? 2 : 1
      const space = sets.whiteSpace.has(code)
      if (space || sets.punctuation.has(code)) {
        if (start < i) words.push(text.slice(start, i))
        if (!space) words.push(text.slice(i, i + width))
        start = i + width
      }
      i += width
    }
    if (start < text.length) words.push(text.slice(start))
    return words
  }
}

/** Words the cache may hold; it is emptied when full, which is simple and rare. */
const cachedWords = 200_000

export class CachedWordPiece extends WordPiece {
  private readonly cache = new Map<string, readonly string[]>()

  override encode(words: string[]): string[] {
    const pieces: string[] = []
    for (const word of words) {
      let cut = this.cache.get(word)
      if (!cut) {
        cut = super.encode([word])
        if (this.cache.size >= cachedWords) this.cache.clear()
        this.cache.set(word, cut)
      }
      for (const piece of cut) pieces.push(piece)
    }
    return pieces
  }
}
