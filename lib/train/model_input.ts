import type { Backbone } from '../backbone/backbone.js'
import type { EncodedRows } from '../data/dataset.js'
import { OptionError } from '../errors.js'
import { encoderLimits } from './batch.js'

/** Tokens a row gets unless another number is asked for. */
const usualLength = 128

/**
 * The length rows are cut to.
 * @throws OptionError ERR_OPTION where the model has positions for fewer tokens
 */
export function chooseMaxLength(asked: number | undefined, backbone: Backbone): number {
  const { positions } = encoderLimits(backbone.imported.graph)
  if (asked === undefined) return Math.min(usualLength, positions)
  if (asked <= positions) return asked
  throw new OptionError(
    'ERR_OPTION',
    `option "maxLength" must be of at most ${positions}, the positions of the model, not ${asked}`,
    {
      option: 'maxLength',
      got: asked,
      expected: positions,
    },
  )
}

/**
 * Rows as the encoder takes them: without token types where it has only one, or takes none (RoBERTa, DistilBERT),
 * whatever the tokenizer says.
 */
export function fitRowsToModel<T extends EncodedRows>(
  rows: T,
  backbone: Backbone,
): T & { readonly tokenTypeIds: T['tokenTypeIds'] } {
  if (encoderLimits(backbone.imported.graph).tokenTypes > 1) return rows
  return { ...rows, tokenTypeIds: rows.inputIds.map((row) => new Array<number>(row.length).fill(0)) }
}
