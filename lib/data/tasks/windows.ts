import { DataError } from '../../errors.js'
import { describePlace, type Example } from '../example.js'
import type { Tokenizer } from '../tokenize.js'
import type { TextTokens } from '../tokenizer/offsets.js'

/** A row of the encoder: a question and some tokens of its context. */
export interface Window {
  readonly inputIds: readonly number[]
  readonly tokenTypeIds: readonly number[]
  /** False: what one window leaves out is in the next. */
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

/** The least share of a row that the question must leave to the context. */
const contextShare = 1 / 8

/**
 * Rows that hold the whole question and the context in overlapping windows, as many as it takes. A window is as long as
 * the row allows, and the last one ends with the context.
 * @param stride tokens from one window's start to the next one's; no more than a window has
 * @throws DataError ERR_DATA_LENGTH where the question leaves too little room, ERR_DATA_ROW for a context without tokens
 */
export function cutWindows(
  example: Example,
  context: TextTokens,
  tokenizer: Tokenizer,
  maxLength: number,
  stride: number,
): Window[] {
  const question = tokenizer.ids(example.text)
  const room = maxLength - tokenizer.specialTokens(true) - question.length
  const least = Math.max(1, Math.floor(maxLength * contextShare))
  if (room < least) throw tooLong(example, question.length, maxLength, room, least)
  const tokens = context.ids.length
  if (tokens === 0) throw noTokens(example)
  const windows: Window[] = []
  for (let first = 0; ; first += Math.min(stride, room)) {
    const count = Math.min(room, tokens - first)
    const row = tokenizer.wrapPair(question, context.ids.slice(first, first + count))
    windows.push({ ...row, truncated: false, first, count })
    if (first + count === tokens) return windows
  }
}

function tooLong({ place }: Example, found: number, maxLength: number, room: number, least: number): DataError {
  return new DataError(
    'ERR_DATA_LENGTH',
    `${describePlace(place)}: the question has ${found} tokens, and in a row of ${maxLength} leaves ${Math.max(0, room)} ` +
      `for the context, which needs ${least}: shorten it, or choose a larger maximum length`,
    { ...place, field: 'question', found, expected: found + room - least, maxLength },
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
