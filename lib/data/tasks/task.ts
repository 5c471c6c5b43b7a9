import type { Example } from '../example.js'

/** Kinds of tasks that the registry knows. */
export type TaskKind = 'classification'

/** What a training step takes as the label of a row: a class index, a value, or a list of them. */
export type Target = number | readonly number[]

/** What `train` is told of its task. */
export interface TaskOptions {
  readonly kind: TaskKind
  /** Classes in the order of the outputs. @default those found in the training data, sorted */
  readonly labels?: readonly string[]
  /** The class whose F1 is reported; without it F1 is the classes' mean. */
  readonly positiveLabel?: string
}

/** What a run keeps of its task, as JSON. */
export interface TaskRecord {
  readonly kind: TaskKind
  readonly [key: string]: unknown
}

/** Sums of an evaluation. */
export interface Scores {
  /** Mean loss over the rows. */
  readonly loss: number
  readonly metrics: Readonly<Record<string, number>>
}

export interface Prediction {
  readonly label?: string
  /** Probability of each class. */
  readonly scores?: Readonly<Record<string, number>>
}

/** A task that knows its labels: turns examples into targets, and outputs into scores and predictions. */
export interface Task {
  readonly kind: TaskKind
  /** Width of the head. */
  readonly outputs: number
  /** The metric that picks the best epoch unless another is asked for. */
  readonly defaultMetric: string
  record(): TaskRecord
  /** @throws DataError ERR_DATA_LABEL for a label that does not belong to the task */
  target(example: Example): Target
  /** @param outputs what the head gives for each row, f32[outputs] */
  score(outputs: readonly Float32Array[], targets: readonly Target[]): Scores
  predict(output: Float32Array): Prediction
}

/** A kind of task: makes the task from training data, or from what a run kept. */
export interface TaskFamily {
  readonly kind: TaskKind
  /** Metrics its tasks report; larger is better for all. */
  readonly metrics: readonly string[]
  /** @throws DataError ERR_DATA_LABEL, OptionError ERR_OPTION */
  fit(options: TaskOptions, examples: readonly Example[]): Task
  load(record: TaskRecord): Task
}
