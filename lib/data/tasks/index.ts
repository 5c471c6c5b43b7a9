import { OptionError } from '../../errors.js'
import { taskKinds, type TaskKind } from '../../kinds.js'
import { checkChoice, checkKeys } from '../../options.js'
import { classification, type ClassificationOptions } from './classification.js'
import { multilabel, type MultilabelOptions } from './multilabel.js'
import { regression, type RegressionOptions } from './regression.js'
import { span, type SpanOptions } from './span.js'
import type { TaskFamily, TaskRecord } from './task.js'
import { token, type TokenOptions } from './token.js'

/** What `train` is told of its task, by kind. */
export type TaskOptions = ClassificationOptions | RegressionOptions | MultilabelOptions | SpanOptions | TokenOptions

const families: Readonly<Record<TaskKind, TaskFamily>> = { classification, regression, multilabel, span, token }

/** @throws OptionError ERR_OPTION for a kind that is not known */
export function taskFamily(kind: unknown): TaskFamily {
  return families[checkChoice('task', kind, taskKinds)]
}

/** Options of tasks of any kind, besides the kind. */
export const taskOptionNames: readonly string[] = [
  ...new Set(Object.values(families).flatMap(({ options }) => options)),
]

/**
 * Checks a task as far as that can be done without data. @returns its family
 * @throws OptionError ERR_OPTION
 */
export function checkTask(task: TaskOptions): TaskFamily {
  const family = taskFamily(task.kind)
  for (const name of Object.keys(task)) refuseOthers(name, family)
  checkKeys('task', task, ['kind', ...family.options])
  family.check(task)
  return family
}

/** An option that only other kinds of tasks have is not misspelt, but out of place. */
function refuseOthers(name: string, { kind, options }: TaskFamily): void {
  if (options.includes(name) || !taskOptionNames.includes(name)) return
  const others = taskKinds.filter((other) => families[other].options.includes(name))
  throw new OptionError(
    'ERR_OPTION',
    `option "task.${name}" belongs to tasks of kind ${others.join(', ')}, not to ${kind}: leave it out`,
    { option: `task.${name}`, got: kind, expected: others },
  )
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
  TaskRecord,
} from './task.js'
