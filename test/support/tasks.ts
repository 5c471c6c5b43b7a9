/** Examples and outputs for the tests of tasks, without a model. */
import type { Example } from '../../lib/data/example.js'
import type { EncodedRow, ExampleOutputs, Task } from '../../lib/data/tasks/index.js'
import { Tokenizer } from '../../lib/data/tokenize.js'
import { tinyTokenizer } from './folder.js'

export const tokenizer = new Tokenizer(tinyTokenizer)

/** The maximum length in these tests. */
export const maxLength = 16

/** The text "x" with a label, in line `row` of dev.tsv. */
export function labelled(label: unknown, row = 1): Example {
  return { text: 'x', label, place: { file: 'dev.tsv', row } }
}

/** The rows that a task makes of an example. */
export function encode(task: Task, example: Example): readonly EncodedRow[] {
  return task.encode(example, tokenizer, maxLength)
}

/** An example with what the head gave for each of its rows. */
export function withOutputs(task: Task, example: Example, ...outputs: readonly number[][]): ExampleOutputs {
  return { example, rows: encode(task, example), outputs: outputs.map((values) => Float32Array.from(values)) }
}
