import { DataError } from '../errors.js'
import { describePlace, type Example } from './example.js'
import type { EncodedExample, ExampleOutputs, Target, Task } from './tasks/task.js'
import type { Tokenizer } from './tokenize.js'

/** Examples as rows of the encoder; no padding. */
export interface EncodedRows {
  readonly inputIds: readonly (readonly number[])[]
  readonly tokenTypeIds: readonly (readonly number[])[]
  /** What the rows were made of, in the same order: example e has the next `examples[e].rows.length` rows. */
  readonly examples: readonly EncodedExample[]
  /** Real tokens of all rows. */
  readonly tokens: number
  /** Rows that were cut to the maximum length. */
  readonly truncated: number
}

/** Rows with what is to be learnt from each. */
export interface Dataset extends EncodedRows {
  readonly targets: readonly Target[]
}

/** How many examples are encoded before other work of the process gets its turn. */
const examplesAtOnce = 1000

/**
 * Rows of the encoder for all examples.
 * @param maxLength tokens a row may have
 * @throws DataError ERR_DATA_LENGTH, and ERR_DATA_LABEL for labels that the task does not know
 */
export async function encodeExamples(
  examples: readonly Example[],
  task: Task,
  tokenizer: Tokenizer,
  maxLength: number,
): Promise<EncodedRows> {
  const encoded: EncodedExample[] = []
  for (const example of examples) {
    encoded.push({ example, rows: task.encode(example, tokenizer, maxLength) })
    if (encoded.length % examplesAtOnce === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  const rows = encoded.flatMap((each) => each.rows)
  return {
    inputIds: rows.map((row) => row.inputIds),
    tokenTypeIds: rows.map((row) => row.tokenTypeIds),
    examples: encoded,
    tokens: rows.reduce((sum, row) => sum + row.inputIds.length, 0),
    truncated: rows.reduce((sum, row) => sum + Number(row.truncated), 0),
  }
}

/**
 * Encoded rows with their targets.
 * @throws DataError ERR_DATA_LABEL for an example without a label, and those of encodeExamples
 */
export async function makeDataset(
  examples: readonly Example[],
  task: Task,
  tokenizer: Tokenizer,
  maxLength: number,
): Promise<Dataset> {
  const encoded = await encodeExamples(examples, task, tokenizer, maxLength)
  const targets = encoded.examples.flatMap(({ example, rows }) =>
    rows.map(({ target }) => {
      if (target !== undefined) return target
      throw new DataError('ERR_DATA_LABEL', `${describePlace(example.place)}: no label`, {
        ...example.place,
        field: 'label',
        expected: 'a label',
      })
    }),
  )
  return { ...encoded, targets }
}

/** Gives each example what the head gave for its rows. @param outputs one element a row, in the order of the rows */
export function outputsByExample(
  { examples }: Pick<EncodedRows, 'examples'>,
  outputs: readonly Float32Array[],
): ExampleOutputs[] {
  let end = 0
  return examples.map((example) => ({ ...example, outputs: outputs.slice(end, (end += example.rows.length)) }))
}

/** True where a row of these examples is two texts: the readers see to it that it is so in all rows or in none. */
export function isPair(examples: readonly Example[]): boolean {
  return examples[0]?.textPair !== undefined
}

/**
 * Refuses pairs where single texts are expected, and the other way round.
 * @param what the data that says what is expected, for the message
 * @throws DataError ERR_DATA_ROW
 */
export function checkPairs(examples: readonly Example[], pair: boolean, what: string): void {
  if (isPair(examples) === pair) return
  const { place } = examples[0]!
  const expected = pair ? 'two texts' : 'one text'
  throw new DataError(
    'ERR_DATA_ROW',
    `${describePlace(place)}: ${pair ? 'one text' : 'two texts'} a row, expected ${expected} as in ${what}`,
    { ...place, field: 'textPair', expected },
  )
}
