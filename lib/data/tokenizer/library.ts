/**
 * The parts of `@huggingface/tokenizers` that are used, with their types. Its own declarations import files without
 * their extensions, which TypeScript does not resolve for Node's modules, so every name in them would be unknown.
 */

import * as untyped from '@huggingface/tokenizers'

interface NormalizerClass {
  new (config: object): { normalize(text: string): string }
}

interface PreTokenizerClass {
  new (): { pre_tokenize_text(text: string): string[] }
}

/** The splitter of GPT-2 and RoBERTa. */
export interface ByteLevelPreTokenizer {
  readonly add_prefix_space: boolean
  readonly use_regex: boolean
  /** Matches words; every character is in one. */
  readonly pattern: RegExp
  /** The character that stands for each byte in the vocabulary. */
  readonly byte_encoder: Readonly<Record<number, string>>
}

interface WordPieceClass {
  new (config: object): {
    tokens_to_ids: Map<string, number>
    unk_token_id?: number
    encode(words: string[]): string[]
  }
}

/** Cuts a text at the added tokens in it; nothing is lost. */
interface Splitter {
  split(text: string): string[]
}

/** A token beside the vocabulary. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  /** Takes in the white space before it. */
  readonly lstrip: boolean
  /** Takes in the white space behind it. */
  readonly rstrip: boolean
}

interface TokenizerClass {
  new (
    tokenizer: object,
    config: object,
  ): {
    normalizer: InstanceType<NormalizerClass> | null
    pre_tokenizer: InstanceType<PreTokenizerClass> | null
    model: InstanceType<WordPieceClass>
    readonly splitter_unnormalized: Splitter
    readonly splitter_normalized: Splitter
    readonly added_tokens_map: ReadonlyMap<string, AddedToken>
    encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] }
  }
}

interface TokenizersModule {
  readonly Normalizer: NormalizerClass
  readonly PreTokenizer: PreTokenizerClass
  readonly WordPiece: WordPieceClass
  readonly Tokenizer: TokenizerClass
}

export type LibraryTokenizer = InstanceType<TokenizerClass>

export const { Normalizer, PreTokenizer, WordPiece, Tokenizer } = untyped as unknown as TokenizersModule
