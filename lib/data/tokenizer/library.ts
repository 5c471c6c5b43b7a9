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

interface WordPieceClass {
  new (config: object): { tokens_to_ids: Map<string, number>; encode(words: string[]): string[] }
}

interface TokenizerClass {
  new (
    tokenizer: object,
    config: object,
  ): {
    normalizer: InstanceType<NormalizerClass> | null
    pre_tokenizer: InstanceType<PreTokenizerClass> | null
    model: InstanceType<WordPieceClass>
    encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] }
  }
}

interface TokenizersModule {
  readonly Normalizer: NormalizerClass
  readonly PreTokenizer: PreTokenizerClass
  readonly WordPiece: WordPieceClass
  readonly Tokenizer: TokenizerClass
}

export const { Normalizer, PreTokenizer, WordPiece, Tokenizer } = untyped as unknown as TokenizersModule
