import { checkChoice } from '../../options.js'
import { classification } from './classification.js'
import type { TaskFamily, TaskKind, TaskRecord } from './task.js'

const families: Readonly<Record<TaskKind, TaskFamily>> = { classification }

export const taskKinds = Object.keys(families) as TaskKind[]

/** @throws OptionError ERR_OPTION for a kind that is not known */
export function taskFamily(kind: unknown): TaskFamily {
  return families[checkChoice('task', kind, taskKinds)]
}

/** The task that a run kept. */
export function loadTask(record: TaskRecord) {
  return taskFamily(record.kind).load(record)
}

export type { Prediction, Scores, Target, Task, TaskFamily, TaskKind, TaskOptions, TaskRecord } from './task.js'
