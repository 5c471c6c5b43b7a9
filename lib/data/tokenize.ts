import { readFile } from 'node:fs/promises'
import { DataError } from '../errors.js'
import { BertNormalizer, BertPreTokenizer, CachedWordPiece, type BertNormalizerOptions } from './tokenizer/bert.js'
import { Tokenizer as Library } from './tokenizer/library.js'
import { OffsetEncoder, type OffsetConfig, type TextTokens } from './tokenizer/offsets.js'
import { addedTokens, fillTemplate, readTemplate, tokensBefore, type Template } from './tokenizer/template.js'
import { longestFirst } from './tokenizer/truncate.js'

/** A text as the encoder takes it; no padding. */
export interface EncodedText {
  /** Token ids with special tokens. */
  readonly inputIds: number[]
  /** Segment of each token; as long as `inputIds`. */
  readonly tokenTypeIds: number[]
  /** True where tokens were cut off. */
  readonly truncated: boolean
}

export interface EncodeOptions {
  /** Tokens a row may have, special ones included. @default no limit */
  readonly maxLength?: number
}

/** The parts of a tokenizer.json that decide the result; padding and truncation of the file are never applied. */
interface TokenizerJson extends OffsetConfig {
  readonly pre_tokenizer?: PreTokenizerJson | null
  readonly decoder?: unknown
  readonly added_tokens?: readonly { readonly id: number; readonly content: string; readonly single_word?: boolean }[]
  readonly model: {
    readonly type?: string
    readonly vocab: object
    readonly unk_token?: string | null
    readonly unk_id?: number | null
  }
}

interface PreTokenizerJson {
  readonly type: string
  readonly add_prefix_space?: boolean
  readonly pretokenizers?: readonly PreTokenizerJson[]
}

/**
 * Text to token ids, the same ids as Python's `tokenizers` gives for the same tokenizer.json.
 *
 * Vocabulary, added tokens and byte-pair or unigram models are `@huggingface/tokenizers`'; BERT's normaliser and
 * splitter, truncation and special tokens are done here (see tokenizer/).
 */
export class Tokenizer {
  /** One more than the largest token id: the rows an embedding table must have. */
  readonly vocabularySize: number
  private readonly library: InstanceType<typeof Library>
  private readonly template: Template
  private readonly makeOffsets: () => OffsetEncoder
  private offsets: OffsetEncoder | undefined
  /** For words that are split already: puts a space before each where that is part of a word's tokens. */
  private words: InstanceType<typeof Library> | undefined
  private readonly makeWords: () => InstanceType<typeof Library>
  private readonly unknown: number | undefined

  /**
   * @param json the parsed tokenizer.json
   * @param file its path, for messages
   * @throws DataError ERR_TOKENIZER where it is not a tokenizer, or uses what is not supported
   */
  constructor(json: unknown, file = 'tokenizer.json') {
    if (!isTokenizerJson(json)) {
      throw new DataError('ERR_TOKENIZER', `${file}: not a tokenizer.json: no "model" with a "vocab"`, {
        file,
        field: 'model',
      })
    }
    const singleWord = json.added_tokens?.find((token) => token.single_word)
    if (singleWord) {
      throw new DataError(
        'ERR_TOKENIZER',
        `${file}: added token "${singleWord.content}" matches single words only, which is not supported`,
        {
          file,
          field: 'added_tokens',
          found: singleWord.content,
        },
      )
    }
    this.template = readTemplate(json.post_processor)
    this.library = makeLibrary(json, file)
    this.makeOffsets = () => new OffsetEncoder(this.library, json, modelType(json.model), file)
    this.vocabularySize = largestId(json) + 1
    const spaced = withSpaces(json.pre_tokenizer)
    this.makeWords = () => (spaced ? makeLibrary({ ...json, pre_tokenizer: spaced }, file) : this.library)
    this.unknown = unknownId(json)
  }

  /** @throws DataError ERR_TOKENIZER */
  static async load(file: string): Promise<Tokenizer> {
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new DataError(
        'ERR_TOKENIZER',
        `${file}: the tokenizer cannot be read; text needs a tokenizer.json beside the model`,
        { file },
        { cause },
      )
    })
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch (cause) {
      throw new DataError('ERR_TOKENIZER', `${file}: not valid JSON: ${(cause as Error).message}`, { file }, { cause })
    }
    return new Tokenizer(json, file)
  }

  /** The special tokens that every row of this kind carries. */
  specialTokens(pair: boolean): number {
    return addedTokens(pair ? this.template.pair : this.template.single)
  }

  /**
   * @param textPair a second text; an empty one still makes a pair
   * @throws DataError ERR_DATA_LENGTH where `maxLength` has no room for the special tokens
   */
  encode(text: string, textPair?: string, { maxLength = Infinity }: EncodeOptions = {}): EncodedText {
    const items = textPair === undefined ? this.template.single : this.template.pair
    const room = maxLength - addedTokens(items)
    if (room < 0) {
      throw new DataError(
        'ERR_DATA_LENGTH',
        `a row of at most ${maxLength} tokens has no room for the special tokens`,
        {
          maxLength,
          expected: addedTokens(items),
        },
      )
    }
    const a = this.ids(text)
    const b = textPair === undefined ? [] : this.ids(textPair)
    const [keepA, keepB] = longestFirst(a.length, b.length, room)
    const truncated = keepA < a.length || keepB < b.length
    return { ...fillTemplate(items, truncated ? a.slice(0, keepA) : a, truncated ? b.slice(0, keepB) : b), truncated }
  }

  /**
   * The tokens of one text, without special tokens, each with the range of the text that it stands for, in UTF-16 code
   * units: what `text.slice(start, end)` takes. The ids are those of `ids(text)`. A range covers the characters that a
   * token was made from, whatever they became; characters that are dropped belong to no token.
   * @throws DataError ERR_TOKENIZER naming the part of the tokenizer that this is not known for: it is for BERT's
   * normaliser and splitter with word pieces, and for byte-level BPE without a normaliser
   */
  tokens(text: string): TextTokens {
    this.offsets ??= this.makeOffsets()
    return this.offsets.encode(text)
  }

  /**
   * Token ids of a word of a text that is split already, without special tokens: as the word would get them in the middle
   * of a text. A word that the normaliser leaves nothing of becomes the unknown token.
   */
  wordIds(word: string): number[] {
    this.words ??= this.makeWords()
    const ids = word === '' ? [] : this.words.encode(word, { add_special_tokens: false }).ids
    return ids.length > 0 || this.unknown === undefined ? ids : [this.unknown]
  }

  /** A row of one text's tokens with the special tokens around them; `start` is the position of the first one. */
  wrap(ids: readonly number[]): { inputIds: number[]; tokenTypeIds: number[]; start: number } {
    const { single } = this.template
    return { ...fillTemplate(single, ids, []), start: tokensBefore(single, 'A', ids.length) }
  }

  /** The same of two texts; `start` is the position of the second text's first token. */
  wrapPair(a: readonly number[], b: readonly number[]): { inputIds: number[]; tokenTypeIds: number[]; start: number } {
    const { pair } = this.template
    return { ...fillTemplate(pair, a, b), start: tokensBefore(pair, 'B', a.length, b.length) }
  }

  /** Token ids of one text, without special tokens. */
  ids(text: string): number[] {
    // The library takes an empty text for none at all.
    return text === '' ? [] : this.library.encode(text, { add_special_tokens: false }).ids
  }
}

function makeLibrary(json: TokenizerJson, file: string): InstanceType<typeof Library> {
  const type = modelType(json.model)
  if (!modelTypes.includes(type)) {
    const expected = modelTypes.join(', ')
    throw new DataError(
      'ERR_TOKENIZER',
      `${file}: the tokenizer's model is of type "${type}"; supported are ${expected}`,
      {
        file,
        field: 'model.type',
        found: type,
        expected,
      },
    )
  }
  try {
    const rest = { added_tokens: [], normalizer: null, pre_tokenizer: null, decoder: null, ...json }
    const whole = { ...rest, post_processor: null, model: { ...json.model, type } }
    const library = new Library(whole, {})
    const { normalizer, pre_tokenizer, model } = whole
    if (normalizer?.type === 'BertNormalizer')
      library.normalizer = new BertNormalizer(normalizer as BertNormalizerOptions)
    if (pre_tokenizer?.type === 'BertPreTokenizer') library.pre_tokenizer = new BertPreTokenizer()
    if (type === 'WordPiece') {
      const words = new CachedWordPiece(model)
      for (const { id, content } of whole.added_tokens) words.tokens_to_ids.set(content, id)
      library.model = words
    }
    return library
  } catch (cause) {
    throw new DataError(
      'ERR_TOKENIZER',
      `${file}: not a tokenizer that can be used: ${(cause as Error).message}`,
      { file },
      { cause },
    )
  }
}

const modelTypes = ['WordPiece', 'BPE', 'Unigram']

/** Files of early versions do not name the type. */
function modelType(model: TokenizerJson['model']): string {
  return model.type ?? ('merges' in model ? 'BPE' : Array.isArray(model.vocab) ? 'Unigram' : 'WordPiece')
}

function isTokenizerJson(json: unknown): json is TokenizerJson {
  const model = (json as Partial<TokenizerJson> | null)?.model
  return typeof model?.vocab === 'object' && model.vocab !== null
}

/**
 * Byte-level splitters have the space in the token of the word after it: the same splitter with a space before each text,
 * or undefined where it needs none.
 */
function withSpaces(splitter: PreTokenizerJson | null | undefined): PreTokenizerJson | undefined {
  if (splitter?.type === 'ByteLevel') return { ...splitter, add_prefix_space: true }
  if (splitter?.type !== 'Sequence') return undefined
  const parts = splitter.pretokenizers ?? []
  if (!parts.some(withSpaces)) return undefined
  return { ...splitter, pretokenizers: parts.map((part) => withSpaces(part) ?? part) }
}

function unknownId({ model, added_tokens }: TokenizerJson): number | undefined {
  const { vocab, unk_token, unk_id } = model
  if (typeof unk_id === 'number') return unk_id
  if (typeof unk_token !== 'string') return undefined
  const added = added_tokens?.find(({ content }) => content === unk_token)
  return added?.id ?? (vocab as Readonly<Record<string, number>>)[unk_token]
}

function largestId({ model, added_tokens }: TokenizerJson): number {
  let largest = -1
  // Unigram vocabularies are lists of [piece, score]; the others map pieces to ids.
  if (Array.isArray(model.vocab)) largest = model.vocab.length - 1
  else for (const id of Object.values(model.vocab as Record<string, number>)) if (id > largest) largest = id
  for (const { id } of added_tokens ?? []) if (id > largest) largest = id
  return largest
}
