import { DataError } from '../../errors.js'
import { describePlace, type Example } from '../example.js'
import type { Tokenizer } from '../tokenize.js'
import type { TextTokens } from '../tokenizer/offsets.js'

/** A row of the encoder: a question and some tokens of its context. */
export interface Window {
  readonly inputIds: readonly number[]
  readonly tokenTypeIds: readonly number[]
  /** True where the question was cut; what a window leaves out of the context is in the next one. */
  readonly truncated: boolean
  /** Position in the row of the first token of the context. */
  readonly start: number
  /** Which token of the context that is. */
  readonly first: number
  /** How many tokens of the context follow, this one included. */
  readonly count: number
}

/** Tokens from the start of one window to that of the next where rows are long enough (Devlin et al. 2019's code). */
const usualStride = 128

/** The usual stride from the length on for which it was chosen, a quarter of shorter rows. */
export function defaultStride(maxLength: number): number {
  return maxLength >= 3 * usualStride ? usualStride : Math.max(1, Math.floor(maxLength / 4))
}

/** The largest share of a row that a question gets; the code of Devlin et al. 2019 cuts questions at 64 tokens. */
const questionShare = 1 / 2

/**
 * Rows that hold the question and the context in overlapping windows, as many as it takes. A window is as long as the row
 * allows, and the last one ends with the context. Only a question of more than half a row is cut.
 * @param stride tokens from one window's start to the next one's; no more than a window has
 * @throws DataError ERR_DATA_LENGTH where a row has no room for both, ERR_DATA_ROW for a context without tokens
 */
export function cutWindows(
  example: Example,
  context: TextTokens,
  tokenizer: Tokenizer,
  maxLength: number,
  stride: number,
): Window[] {
  const asked = tokenizer.ids(example.text)
  const question = asked.slice(0, Math.floor(maxLength * questionShare))
  const truncated = question.length < asked.length
  const special = tokenizer.specialTokens(true)
  const room = roomBeside(asked.length, maxLength, special)
  if (room < 1) throw noRoom(example, maxLength, special, asked.length)
  const tokens = context.ids.length
  if (tokens === 0) throw noTokens(example)
  const windows: Window[] = []
  for (let first = 0; ; first += Math.min(stride, room)) {
    const count = Math.min(room, tokens - first)
    const row = tokenizer.wrapPair(question, context.ids.slice(first, first + count))
    windows.push({ ...row, truncated, first, count })
    if (first + count === tokens) return windows
  }
}

/** Tokens of the context that fit beside a question. */
function roomBeside(question: number, maxLength: number, special: number): number {
  return maxLength - special - Math.min(question, Math.floor(maxLength * questionShare))
}

function noRoom({ place }: Example, maxLength: number, special: number, question: number): DataError {
  let smallest = maxLength
  while (roomBeside(question, smallest, special) < 1) smallest++
  return new DataError(
    'ERR_DATA_LENGTH',
    `${describePlace(place)}: a row of at most ${maxLength} tokens has no room for a question and its context beside ` +
      `${special} special tokens: the maximum length must be at least ${smallest} for it`,
    { ...place, maxLength, expected: smallest },
  )
}

function noTokens({ place, textPair }: Example): DataError {
  return new DataError('ERR_DATA_ROW', `${describePlace(place)}: the context has no words to answer from`, {
    ...place,
    field: 'context',
    found: textPair,
    expected: 'a text',
  })
}
