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
import { canonical, controls, ideographs, marks, punctuation } from './unicode.js'

export interface BertNormalizerOptions {
  readonly clean_text: boolean
  readonly handle_chinese_chars: boolean
  /** Absent or null: as `lowercase`. */
  readonly strip_accents?: boolean | null
  readonly lowercase: boolean
}

const sets = {
  canonical: new CodePoints(canonical),
  controls: new CodePoints(controls),
  ideographs: new CodePoints(ideographs),
  marks: new CodePoints(marks),
  punctuation: new CodePoints(punctuation),
  whiteSpace: new CodePoints('9-d 20 85 a0 1680 2000-200a 2028-2029 202f 205f 3000'),
}

/** The smallest of their classes, to pass quickly over most text. */
const firstCanonical = 0xc0
const firstMark = 0x300

/** Texts that only lower-casing changes. */
export const printableAscii = /^[ -~]*$/

export class BertNormalizer extends Normalizer {
  private readonly options: BertNormalizerOptions

  constructor(options: BertNormalizerOptions) {
    super(options)
    this.options = options
  }

  override normalize(text: string): string {
    const { clean_text, handle_chinese_chars, lowercase } = this.options
    if (!printableAscii.test(text)) {
      if (clean_text || handle_chinese_chars) text = spaceOutAll(text, this.options)
      if (stripsAccents(this.options)) text = stripAccents(text)
    }
    return lowercase ? lower(text) : text
  }
}

function spaceOutAll(text: string, options: BertNormalizerOptions): string {
  let result = ''
  for (const character of text) result += spaceOut(character, options)
  return result
}

/** What a character becomes: control characters nothing, white space a space, ideographs stand between spaces. */
export function spaceOut(
  character: string,
  { clean_text, handle_chinese_chars }: Pick<BertNormalizerOptions, 'clean_text' | 'handle_chinese_chars'>,
): string {
  const code = character.codePointAt(0)!
  if (code >= 0x20 && code < 0x7f) return character
  if (clean_text && (sets.controls.has(code) || isLoneSurrogate(code))) return ''
  if (clean_text && sets.whiteSpace.has(code)) return ' '
  return handle_chinese_chars && sets.ideographs.has(code) ? ` ${character} ` : character
}

function isLoneSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff
}

export function stripsAccents({ strip_accents, lowercase }: BertNormalizerOptions): boolean {
  return strip_accents ?? lowercase
}

function stripAccents(text: string): string {
  const whole = decompose(text)
  let result = ''
  let done = 0
  for (let i = 0; i < whole.length; i++) {
    const code = whole.charCodeAt(i)
    // A low surrogate alone is no mark, so that it may be asked for too.
    if (code < firstMark || !sets.marks.has(whole.codePointAt(i)!)) continue
    result += whole.slice(done, i)
    if (whole.codePointAt(i)! > 0xffff) i++
    done = i + 1
  }
  return done === 0 ? whole : result + whole.slice(done)
}

/** Nonspacing marks: what accents become. */
export function isMark(character: string): boolean {
  return sets.marks.has(character.codePointAt(0)!)
}

/** Canonical decomposition; characters that the library's tables do not know stay as and where they are. */
export function decompose(text: string): string {
  let result = ''
  let done = 0
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) < firstCanonical) continue
    const end = endOfCanonical(text, i)
    if (end === i) continue
    result += text.slice(done, i) + text.slice(i, end).normalize('NFD')
    done = end
    i = end - 1
  }
  return done === 0 ? text : result + text.slice(done)
}

/** Where a stretch of characters ends that decomposition changes or sorts. */
function endOfCanonical(text: string, start: number): number {
  let end = start
  while (end < text.length) {
    const code = text.codePointAt(end)!
    if (!sets.canonical.has(code)) break
    end += code > 0xffff ? 2 : 1
  }
  return end
}

/** Lower case without context. */
export function lower(text: string): string {
  return (text.includes('Σ') ? text.replaceAll('Σ', 'σ') : text).toLowerCase()
}

export class BertPreTokenizer extends PreTokenizer {
  override pre_tokenize_text(text: string): string[] {
    const words: string[] = []
    forEachWord(text, (start, end) => words.push(text.slice(start, end)))
    return words
  }
}

/** Words end at white space, which belongs to none, and at punctuation, each mark a word of its own. */
export function forEachWord(text: string, take: (start: number, end: number) => void): void {
  let start = 0
  for (let i = 0; i < text.length;) {
    const code = text.codePointAt(i)!
    const width = code > 0xffff ? 2 : 1
    const space = sets.whiteSpace.has(code)
    if (space || sets.punctuation.has(code)) {
      if (start < i) take(start, i)
      if (!space) take(i, i + width)
      start = i + width
    }
    i += width
  }
  if (start < text.length) take(start, text.length)
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
