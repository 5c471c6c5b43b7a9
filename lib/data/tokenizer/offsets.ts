import { DataError } from '../../errors.js'
import { AlignedText } from './aligned.js'
import { forEachWord, type BertNormalizerOptions } from './bert.js'
import { normalizeAligned } from './bert_aligned.js'
import { splitByteLevel, trimSpaces } from './byte_level.js'
import type { ByteLevelPreTokenizer, LibraryTokenizer } from './library.js'
import { splitAdded } from './sections.js'
import type { PostProcessor } from './template.js'

/** The tokens of one text, without special tokens. */
export interface TextTokens {
  readonly ids: readonly number[]
  /** First UTF-16 code unit of the text that each token stands for. */
  readonly starts: readonly number[]
  /** One behind the last. */
  readonly ends: readonly number[]
}

/** A text as the model reads it, and the ranges of its words in it. */
export interface Words {
  readonly aligned: AlignedText
  readonly ranges: readonly (readonly [start: number, end: number])[]
}

/** How one kind of tokenizer cuts a text. */
interface Scheme {
  normalize(text: string): AlignedText
  split(text: AlignedText): Words
  /** How many code units of the word a piece stands for. */
  pieceLength(piece: string, first: boolean): number
  trim?(token: string, text: string, range: readonly [number, number], first: boolean): readonly [number, number]
}

/** The parts of a tokenizer.json that decide offsets. */
export interface OffsetConfig {
  readonly normalizer?: ({ readonly type: string } & Partial<BertNormalizerOptions>) | null
  readonly pre_tokenizer?: { readonly type: string } | null
  readonly post_processor?: PostProcessor | null
  readonly model: object
}

/** Gives token ids with the range of the text that each stands for, as Python's `tokenizers` does. */
export class OffsetEncoder {
  private readonly scheme: Scheme

  /** @throws DataError ERR_TOKENIZER naming the part of the tokenizer that offsets are not known for */
  constructor(
    private readonly library: LibraryTokenizer,
    config: OffsetConfig,
    modelType: string,
    file: string,
  ) {
    this.scheme = findScheme(library, config, modelType, file)
  }

  encode(text: string): TextTokens {
    const tokens = new Tokens(text, this.library, this.scheme)
    const { splitter_unnormalized, splitter_normalized, added_tokens_map: added } = this.library
    for (const section of splitAdded(text, splitter_unnormalized, added)) {
      if (section.added) {
        tokens.add(section.added.content, [section.start, section.end], text.slice(section.start, section.end))
        continue
      }
      const normalized = this.scheme.normalize(text.slice(section.start, section.end))
      for (const part of splitAdded(normalized.text, splitter_normalized, added)) {
        const [start, end] = normalized.rangeOf(part.start, part.end)
        const range = [section.start + start, section.start + end] as const
        if (part.added) tokens.add(part.added.content, range, normalized.text.slice(part.start, part.end))
        else this.addWords(normalized.slice(part.start, part.end), section.start, tokens)
      }
    }
    return tokens
  }

  private addWords(text: AlignedText, shift: number, tokens: Tokens): void {
    const { aligned, ranges } = this.scheme.split(text)
    for (const [start, end] of ranges) {
      const pieces = this.library.model.encode([aligned.text.slice(start, end)])
      let at = start
      for (const [i, piece] of pieces.entries()) {
        // One piece is the whole word, be it known or not.
        const next = pieces.length === 1 ? end : at + this.scheme.pieceLength(piece, i === 0)
        const [from, to] = aligned.rangeOf(at, next)
        tokens.add(piece, [shift + from, shift + to])
        at = next
      }
    }
  }
}

class Tokens implements TextTokens {
  readonly ids: number[] = []
  readonly starts: number[] = []
  readonly ends: number[] = []

  constructor(
    private readonly text: string,
    private readonly library: LibraryTokenizer,
    private readonly scheme: Scheme,
  ) {}

  /** @param whole what the token is made of, where that is more than its name */
  add(piece: string, range: readonly [number, number], whole = piece): void {
    const { model, added_tokens_map } = this.library
    const id = added_tokens_map.get(piece)?.id ?? model.tokens_to_ids.get(piece) ?? model.unk_token_id!
    const [start, end] = this.scheme.trim?.(whole, this.text, range, this.ids.length === 0) ?? range
    this.ids.push(id)
    this.starts.push(start)
    this.ends.push(end)
  }
}

function findScheme(library: LibraryTokenizer, config: OffsetConfig, modelType: string, file: string): Scheme {
  const { normalizer, pre_tokenizer, model } = config
  if (modelType === 'WordPiece') {
    if (normalizer && normalizer.type !== 'BertNormalizer')
      throw unsupported(file, 'normalizer', normalizer.type, 'BertNormalizer')
    if (pre_tokenizer?.type !== 'BertPreTokenizer')
      throw unsupported(file, 'pre_tokenizer', pre_tokenizer?.type, 'BertPreTokenizer')
    const { continuing_subword_prefix = '##' } = model as { continuing_subword_prefix?: string }
    return wordPieces(normalizer as BertNormalizerOptions | null, continuing_subword_prefix)
  }
  if (modelType === 'BPE') {
    if (normalizer) throw unsupported(file, 'normalizer', normalizer.type, 'none with BPE')
    if (pre_tokenizer?.type !== 'ByteLevel')
      throw unsupported(file, 'pre_tokenizer', pre_tokenizer?.type, 'ByteLevel with BPE')
    const splitter = library.pre_tokenizer as unknown as ByteLevelPreTokenizer
    checkBytes(library, model, splitter, file)
    return byteLevel(splitter, config.post_processor)
  }
  throw unsupported(file, 'model', modelType, 'WordPiece, or BPE of bytes')
}

function wordPieces(normalizer: BertNormalizerOptions | null | undefined, prefix: string): Scheme {
  return {
    normalize: (text) => (normalizer ? normalizeAligned(text, normalizer) : new AlignedText(text)),
    split(aligned) {
      const ranges: [number, number][] = []
      forEachWord(aligned.text, (start, end) => ranges.push([start, end]))
      return { aligned, ranges }
    },
    pieceLength: (piece, first) => piece.length - (first ? 0 : prefix.length),
  }
}

function byteLevel(splitter: ByteLevelPreTokenizer, processor: PostProcessor | null | undefined): Scheme {
  const trims = [processor, ...((processor?.processors as PostProcessor[] | undefined) ?? [])].filter(
    (each) => each && ['ByteLevel', 'RobertaProcessing'].includes(each.type) && each.trim_offsets !== false,
  )
  return {
    normalize: (text) => new AlignedText(text),
    split: (text) => splitByteLevel(text, splitter),
    pieceLength: (piece) => piece.length,
    trim: (token, text, range, first) =>
      trims.reduce((kept, each) => trimSpaces(token, text, kept, first, each!.add_prefix_space !== false), range),
  }
}

/** Every byte must be in the vocabulary: an unknown token would not say how many bytes it stands for. */
function checkBytes(library: LibraryTokenizer, model: object, splitter: ByteLevelPreTokenizer, file: string): void {
  const { continuing_subword_prefix, end_of_word_suffix } = model as Record<string, unknown>
  if (continuing_subword_prefix) throw unsupported(file, 'model', 'continuing_subword_prefix', 'BPE without one')
  if (end_of_word_suffix) throw unsupported(file, 'model', 'end_of_word_suffix', 'BPE without one')
  const missing = Object.values(splitter.byte_encoder).find((symbol) => !library.model.tokens_to_ids.has(symbol))
  if (missing !== undefined)
    throw unsupported(file, 'model', `a vocabulary without "${missing}"`, 'all 256 bytes in it')
}

function unsupported(file: string, field: string, found: string | undefined, expected: string): DataError {
  return new DataError(
    'ERR_TOKENIZER',
    `${file}: its ${field} is ${found ?? 'absent'}; where tokens lie in the text, which this task needs, is known for ` +
      `${expected}: take the tokenizer of a BERT or RoBERTa model`,
    { file, field, found, expected },
  )
}
