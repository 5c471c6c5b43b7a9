import type { Backbone } from '../backbone/backbone.js'
import type { EncodedRows } from '../data/dataset.js'
import type { Tokenizer } from '../data/tokenize.js'
import { OptionError } from '../errors.js'
import type { TaskKind } from '../kinds.js'
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
 * Refuses a length that leaves no room for one token of each text: nothing could be learnt of special tokens alone. A
 * span task judges each row for itself too, since questions are of different lengths.
 * @param pair true where a row is two texts
 * @throws OptionError ERR_OPTION naming the smallest length
 */
export function checkRoom(maxLength: number, kind: TaskKind, pair: boolean, tokenizer: Tokenizer): void {
  const texts = pair || kind === 'span' ? 2 : 1
  const special = tokenizer.specialTokens(texts === 2)
  const smallest = special + texts
  if (maxLength >= smallest) return
  const room = `room for ${special} special tokens and one token ${texts === 2 ? 'of each text' : 'of the text'}`
  throw new OptionError('ERR_OPTION', `option "maxLength" must be of at least ${smallest}, ${room}, not ${maxLength}`, {
    option: 'maxLength',
    got: maxLength,
    expected: smallest,
  })
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
