import type { TaskOptions, TrainOptions } from '../../lib/index.js'
import { modelPattern } from '../support/model.js'

/** One quality run: what is trained, on which task, how. */
export interface Recipe {
  readonly task: string
  /** An adapter size, `full`, `layernorm`, `head` or `top-K`. */
  readonly model: string
  readonly learningRate: number
  readonly epochs: number
  readonly seed: number
}

/** How a task is read and judged. */
export interface TaskRule {
  readonly options: TaskOptions
  /** Names of the metrics whose mean is the main one. */
  readonly main: readonly string[]
  /** Rows of the training file that are used. @default all */
  readonly trainRows?: number
}

const accuracy: TaskRule = { options: { kind: 'classification' }, main: ['accuracy'] }

/** Tasks that differ from plain classification by accuracy. */
const rules: Readonly<Record<string, TaskRule>> = {
  cola: { options: { kind: 'classification', positiveLabel: 'acceptable' }, main: ['matthews'] },
  mrpc: { options: { kind: 'classification', positiveLabel: 'equivalent' }, main: ['accuracy'] },
  sst2: { ...accuracy, trainRows: 10_000 },
  stsb: { options: { kind: 'regression' }, main: ['pearson', 'spearman'] },
}

export function taskRule(task: string): TaskRule {
  return rules[task] ?? accuracy
}

/** The main metric of one evaluation. */
export function mainMetric(task: string, metrics: Readonly<Record<string, number>>): number {
  const { main } = taskRule(task)
  const values = main.map((name) => {
    const value = metrics[name]
    if (value === undefined) throw new Error(`${task}: no metric "${name}" among ${Object.keys(metrics).join(', ')}`)
    return value
  })
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/**
 * Reads `TASK:MODEL:RATE:EPOCHS[:SEEDS]`, seeds as `0`, `0-4` or `0,2,5`; one recipe a seed.
 * @throws Error naming the part that is wrong
 */
export function parseRecipes(text: string): Recipe[] {
  const [task = '', model = '', rate = '', epochs = '', seeds = '0', ...rest] = text.split(':')
  const wrong = (what: string) => new Error(`"${text}": ${what}; expected TASK:MODEL:RATE:EPOCHS[:SEEDS]`)
  if (!/^\w+$/.test(task)) throw wrong('no task')
  if (!modelPattern.test(model)) throw wrong(`model "${model}" is not a size, full, layernorm, head or top-K`)
  if (!(Number(rate) > 0)) throw wrong(`"${rate}" is not a learning rate`)
  if (!/^[1-9]\d*$/.test(epochs)) throw wrong(`"${epochs}" is not a number of epochs`)
  if (rest.length > 0) throw wrong('too many parts')
  return parseSeeds(seeds, wrong).map((seed) => ({
    task,
    model,
    learningRate: Number(rate),
    epochs: Number(epochs),
    seed,
  }))
}

function parseSeeds(text: string, wrong: (what: string) => Error): number[] {
  return text.split(',').flatMap((part) => {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part)
    const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])]
    if (!match || last < first) throw wrong(`"${part}" is not a seed or a range of seeds`)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

/** What tells one run from another. */
export function recipeKey({ task, model, learningRate, epochs, seed }: Recipe): string {
  return `${task}:${model}:${learningRate}:${epochs}:${seed}`
}

/** Dropout as the other engine has it: its head is trained on stored features, so nothing drops out below it. */
export function dropoutOf(model: string): TrainOptions['dropout'] {
  return model === 'head' ? { hidden: 0, attention: 0, head: 0.1 } : 0.1
}
