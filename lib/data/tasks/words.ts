import { DataError } from '../../errors.js'
import { describePlace, type Example } from '../example.js'
import type { Tokenizer } from '../tokenize.js'

/** A row of whole words. */
export interface WordRow {
  readonly inputIds: readonly number[]
  readonly tokenTypeIds: readonly number[]
  /** True where a word was longer than a row and lost its end. */
  readonly truncated: boolean
  /** Position in the row of each word's first token. */
  readonly firstTokens: readonly number[]
}

/**
 * The words of an example as rows of the encoder: as many words a row as fit, no word in two rows.
 * @param maxLength tokens a row may have
 * @throws DataError ERR_DATA_LENGTH where no token fits beside the special ones, ERR_DATA_ROW for a word without tokens
 */
export function wordRows({ words = [], place }: Example, tokenizer: Tokenizer, maxLength: number): WordRow[] {
  const room = maxLength - tokenizer.specialTokens(false)
  if (room < 1) {
    throw new DataError('ERR_DATA_LENGTH', `a row of at most ${maxLength} tokens has no room for a word`, {
      maxLength,
      expected: tokenizer.specialTokens(false) + 1,
    })
  }
  const rows: WordRow[] = []
  let ids: number[] = []
  let starts: number[] = []
  let truncated = false
  const close = () => {
    const { inputIds, tokenTypeIds, start } = tokenizer.wrap(ids)
    rows.push({ inputIds, tokenTypeIds, truncated, firstTokens: starts.map((position) => start + position) })
    ids = []
    starts = []
    truncated = false
  }
  for (const [i, word] of words.entries()) {
    const own = tokenizer.wordIds(word)
    if (own.length === 0) {
      throw new DataError(
        'ERR_DATA_ROW',
        `${describePlace(place)}: word ${i + 1} (${JSON.stringify(word)}) has no tokens`,
        {
          ...place,
          field: 'tokens',
          found: word,
        },
      )
    }
    if (ids.length > 0 && ids.length + own.length > room) close()
    starts.push(ids.length)
    ids.push(...own.slice(0, room))
    truncated ||= own.length > room
  }
  close()
  return rows
}
