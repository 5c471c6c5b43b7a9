import { checkChoice } from '../../options.js'
import { classification, type ClassificationOptions } from './classification.js'
import { multilabel, type MultilabelOptions } from './multilabel.js'
import { regression, type RegressionOptions } from './regression.js'
import { span, type SpanOptions } from './span.js'
import type { TaskFamily, TaskKind, TaskRecord } from './task.js'
import { token, type TokenOptions } from './token.js'

/** What `train` is told of its task, by kind. */
export type TaskOptions = ClassificationOptions | RegressionOptions | MultilabelOptions | SpanOptions | TokenOptions

const families: Readonly<Record<TaskKind, TaskFamily>> = { classification, regression, multilabel, span, token }

export const taskKinds = Object.keys(families) as TaskKind[]

/** @throws OptionError ERR_OPTION for a kind that is not known */
export function taskFamily(kind: unknown): TaskFamily {
  return families[checkChoice('task', kind, taskKinds)]
}

/** The task that a run kept. */
export function loadTask(record: TaskRecord) {
  return taskFamily(record.kind).load(record)
}

export type { ClassificationOptions, MultilabelOptions, RegressionOptions, SpanOptions, TokenOptions }
export type {
  AnswerSpan,
  EncodedExample,
  EncodedRow,
  ExampleOutputs,
  Prediction,
  Scores,
  Target,
  Task,
  TaskFamily,
  TaskKind,
  TaskRecord,
} from './task.js'
