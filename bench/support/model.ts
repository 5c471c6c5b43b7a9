import { makeVariants, type Variant } from '../../lib/bench/variant.js'

/** What a comparison trains: an adapter size (`64`), `full`, `layernorm`, `head` or `top-K`. */
export const modelPattern = /^(\d+|full|layernorm|head|top-\d+)$/

/** The part of train()'s and the Trainer's options that says which values train. */
export function modelOptions(model: string): Variant['options'] {
  const mode = /^\d+$/.test(model) ? 'adapters' : model
  return makeVariants([mode], [Number(model)])[0]!.options
}
