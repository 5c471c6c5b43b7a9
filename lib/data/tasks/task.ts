import type { TaskKind } from '../../kinds.js'
import type { Example } from '../example.js'
import type { Fields } from '../fields.js'
import type { Tokenizer } from '../tokenize.js'

/** What a training step takes as the label of a row: a class index, a value, or a list of them. */
export type Target = number | readonly number[]

/** What a run keeps of its task, as JSON. */
export interface TaskRecord {
  readonly kind: TaskKind
  readonly [key: string]: unknown
}

/** A row of the encoder. A task may add what it needs to read the outputs again: word alignment, offsets. */
export interface EncodedRow {
  /** Token ids with special tokens. */
  readonly inputIds: readonly number[]
  /** Segment of each token; as long as `inputIds`. */
  readonly tokenTypeIds: readonly number[]
  /** True where tokens were cut off. */
  readonly truncated: boolean
  /** What is to be learnt; absent where the example has no label. */
  readonly target?: Target
}

/** An example and the rows that were made of it: one, or several where a task cuts long texts into windows. */
export interface EncodedExample<Row extends EncodedRow = EncodedRow> {
  readonly example: Example
  readonly rows: readonly Row[]
}

/** An example with what the head gave for each of its rows: f32[outputs], or f32[length · outputs] for heads over tokens. */
export interface ExampleOutputs<Row extends EncodedRow = EncodedRow> extends EncodedExample<Row> {
  readonly outputs: readonly Float32Array[]
}

/** Sums of an evaluation. */
export interface Scores {
  /** Mean loss over what the training counts: rows, or tokens. */
  readonly loss: number
  readonly metrics: Readonly<Record<string, number>>
}

/** A part of the context of a question. */
export interface AnswerSpan {
  /** Empty where there is no answer: only runs whose training data had questions without one say so. */
  readonly text: string
  /** First UTF-16 code unit of it in the context: `context.slice(start, end)` is the text. */
  readonly start: number
  readonly end: number
  /** Its probability among all answers that are allowed, 0 to 1. */
  readonly score: number
}

/** What a run says of an example; which fields are there depends on the kind of its task. */
export interface Prediction {
  /** Classification: the likeliest class. */
  readonly label?: string
  /** Multi-label: the labels whose probability is above one half, in the order of the outputs; maybe none. */
  readonly labels?: readonly string[]
  /** Classification and multi-label: the probability of each class or label, 0 to 1. */
  readonly scores?: Readonly<Record<string, number>>
  /** Regression: the value, in the units of the training data. */
  readonly value?: number
  /** Span: the answer. */
  readonly span?: AnswerSpan
  /** Token: the words. */
  readonly tokens?: readonly string[]
  /** Token: the tag of each word. */
  readonly tags?: readonly string[]
}

/**
 * A task that knows its labels. It turns an example into rows of the encoder with their targets, and the outputs of
 * those rows into a prediction, or those of many examples into scores. All rows of an example stay together.
 */
export interface Task<Row extends EncodedRow = EncodedRow> {
  readonly kind: TaskKind
  /** Width of the head. */
  readonly outputs: number
  /** Metrics that can pick the best epoch; it may report more. */
  readonly metrics: readonly string[]
  /** The metric that picks the best epoch unless another is asked for. */
  readonly defaultMetric: string
  /** What the head's bias starts from in a training, one value an output. @default 0 */
  readonly initialBias?: readonly number[]
  record(): TaskRecord
  /**
   * At least one row; with a target where the example has a label.
   * @param maxLength tokens a row may have
   * @throws DataError ERR_DATA_LABEL for a label that does not belong to the task, ERR_DATA_LENGTH
   */
  encode(example: Example, tokenizer: Tokenizer, maxLength: number): readonly Row[]
  /** Loss and metrics over labelled examples. */
  score(examples: readonly ExampleOutputs<Row>[]): Scores
  predict(example: ExampleOutputs<Row>): Prediction
}

/** Tells of what is odd in data, but can be used. @param code `WARN_*` */
export type Warn = (code: string, message: string) => void

/** A kind of task: makes the task from training data, or from what a run kept. */
export interface TaskFamily<Options extends { readonly kind: TaskKind } = { readonly kind: TaskKind }> {
  readonly kind: TaskKind
  /** Names of its options, besides its kind. */
  readonly options: readonly string[]
  /** What it reads of a row. */
  readonly fields: Fields
  /** Metrics that can pick the best epoch; a task may give only some, depending on its labels. */
  readonly metrics: readonly string[]
  /**
   * Checks the values of its options, as far as that can be done without data.
   * @throws OptionError ERR_OPTION
   */
  check(options: Options): void
  /** @param options checked @throws DataError ERR_DATA_LABEL and relatives, OptionError ERR_OPTION */
  fit(options: Options, examples: readonly Example[], warn?: Warn): Task
  load(record: TaskRecord): Task
}
