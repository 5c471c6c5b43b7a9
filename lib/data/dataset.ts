import { DataError } from '../errors.js'
import { describePlace, type Example } from './example.js'
import type { Target, Task } from './tasks/task.js'
import type { Tokenizer } from './tokenize.js'

/** Rows as the encoder takes them; no padding. */
export interface EncodedRows {
  readonly inputIds: readonly (readonly number[])[]
  readonly tokenTypeIds: readonly (readonly number[])[]
  /** Real tokens of all rows. */
  readonly tokens: number
  /** Rows that were cut to the maximum length. */
  readonly truncated: number
}

/** Rows with what is to be learnt from each. */
export interface Dataset extends EncodedRows {
  readonly targets: readonly Target[]
}

/** How many rows are encoded before other work of the process gets its turn. */
const rowsAtOnce = 1000

/**
 * Token ids of texts.
 * @param maxLength tokens a row may have
 * @throws DataError ERR_DATA_LENGTH
 */
export async function encodeRows(
  rows: readonly Pick<Example, 'text' | 'textPair'>[],
  tokenizer: Tokenizer,
  maxLength: number,
): Promise<EncodedRows> {
  const inputIds: number[][] = []
  const tokenTypeIds: number[][] = []
  let tokens = 0
  let truncated = 0
  for (const { text, textPair } of rows) {
    const encoded = tokenizer.encode(text, textPair, { maxLength })
    inputIds.push(encoded.inputIds)
    tokenTypeIds.push(encoded.tokenTypeIds)
    tokens += encoded.inputIds.length
    truncated += Number(encoded.truncated)
    if (inputIds.length % rowsAtOnce === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  return { inputIds, tokenTypeIds, tokens, truncated }
}

/**
 * Encoded rows with their targets.
 * @throws DataError ERR_DATA_LABEL for labels that the task does not know, and those of encodeRows
 */
export async function makeDataset(
  examples: readonly Example[],
  task: Task,
  tokenizer: Tokenizer,
  maxLength: number,
): Promise<Dataset> {
  const targets = examples.map((example) => task.target(example))
  return { ...(await encodeRows(examples, tokenizer, maxLength)), targets }
}

/**
 * One text a row or two: a file has columns for that, but rows of an iterable may differ.
 * @throws DataError ERR_DATA_ROW
 */
export function checkSameKind(examples: readonly Example[]): void {
  const pair = examples[0]?.textPair !== undefined
  const other = examples.find((example) => (example.textPair !== undefined) !== pair)
  if (!other) return
  throw new DataError(
    'ERR_DATA_ROW',
    `${describePlace(other.place)}: ${pair ? 'no second text' : 'a second text'}, unlike the first row`,
    {
      ...other.place,
      field: 'textPair',
      expected: pair ? 'a second text' : 'none',
    },
  )
}
