import { DataError, OptionError } from '../../errors.js'
import { accuracy, binaryF1, macroF1, matthews } from '../../metrics/classification.js'
import { checkKeys, hint, show, wrongOption } from '../../options.js'
import { describePlace, type Example } from '../example.js'
import type { Prediction, Scores, Target, Task, TaskFamily, TaskOptions, TaskRecord } from './task.js'

/** One label a row, of a fixed set of classes. */
class Classification implements Task {
  readonly kind = 'classification'
  readonly outputs: number
  readonly defaultMetric = 'accuracy'
  private readonly indices: ReadonlyMap<string, number>

  constructor(
    private readonly labels: readonly string[],
    private readonly positiveLabel: string | undefined,
  ) {
    this.outputs = labels.length
    this.indices = new Map(labels.map((label, index) => [label, index]))
  }

  record(): TaskRecord {
    const { kind, labels, positiveLabel } = this
    return positiveLabel === undefined ? { kind, labels } : { kind, labels, positiveLabel }
  }

  target(example: Example): number {
    const label = labelText(example)
    const index = this.indices.get(label)
    if (index !== undefined) return index
    const count = `${this.labels.length} classes`
    const listed = this.labels.length <= 10 ? ` (${this.labels.join(', ')})` : ''
    throw new DataError(
      'ERR_DATA_LABEL',
      `${describePlace(example.place)}, label ${show(label)}: not one of the ${count}${listed}${hint(label, this.labels)}`,
      { ...example.place, field: 'label', found: label, expected: this.labels },
    )
  }

  score(outputs: readonly Float32Array[], targets: readonly Target[]): Scores {
    const gold = targets as readonly number[]
    const predicted = outputs.map(largest)
    const positive = this.positiveLabel === undefined ? undefined : this.indices.get(this.positiveLabel)
    let loss = 0
    for (const [i, logits] of outputs.entries()) loss -= logSoftmax(logits, gold[i]!)
    return {
      loss: loss / outputs.length,
      metrics: {
        accuracy: accuracy(gold, predicted),
        f1: positive === undefined ? macroF1(gold, predicted, this.outputs) : binaryF1(gold, predicted, positive),
        matthews: matthews(gold, predicted, this.outputs),
      },
    }
  }

  predict(output: Float32Array): Prediction {
    const scores = Object.fromEntries(this.labels.map((label, k) => [label, Math.exp(logSoftmax(output, k))]))
    return { label: this.labels[largest(output)]!, scores }
  }
}

export const classification: TaskFamily = {
  kind: 'classification',
  metrics: ['accuracy', 'f1', 'matthews'],

  fit(options: TaskOptions, examples: readonly Example[]): Task {
    checkKeys('task', options, ['kind', 'labels', 'positiveLabel'])
    const labels = options.labels ?? [...new Set(examples.map(labelText))].sort()
    checkLabels(labels, options, examples)
    if (options.positiveLabel !== undefined && !labels.includes(options.positiveLabel)) {
      throw new OptionError(
        'ERR_OPTION',
        `option "task.positiveLabel" must be one of the labels (${labels.join(', ')}), not ${show(options.positiveLabel)}`,
        { option: 'task.positiveLabel', got: options.positiveLabel, expected: labels },
      )
    }
    const task = new Classification(labels, options.positiveLabel)
    // Labels that were given may not cover the data.
    if (options.labels) for (const example of examples) task.target(example)
    return task
  },

  load(record: TaskRecord): Task {
    return new Classification(record.labels as string[], record.positiveLabel as string | undefined)
  },
}

function checkLabels(labels: readonly string[], options: TaskOptions, examples: readonly Example[]): void {
  if (options.labels) {
    const fine = Array.isArray(labels) && labels.length >= 2 && labels.every((label) => typeof label === 'string')
    if (!fine || new Set(labels).size !== labels.length) {
      throw wrongOption('task.labels', 'a list of at least two different class names', labels)
    }
  } else if (labels.length < 2) {
    const { file } = examples[0]!.place
    throw new DataError(
      'ERR_DATA_CLASSES',
      `${file ?? 'the data'}: all ${examples.length} rows have the label ${show(labels[0])}; a classifier needs at least two classes`,
      { file, field: 'label', found: labels, expected: 'at least 2 classes' },
    )
  }
}

/** Labels are names; numbers and booleans of callers are taken by their text. */
function labelText({ label, place }: Example): string {
  if (typeof label === 'number' || typeof label === 'boolean') return String(label)
  if (typeof label === 'string' && label !== '') return label
  throw new DataError(
    'ERR_DATA_LABEL',
    `${describePlace(place)}: the label is ${label === '' ? 'empty' : show(label)}, expected a class name`,
    {
      ...place,
      field: 'label',
      found: label,
      expected: 'a class name',
    },
  )
}

/** Index of the largest value; the first of equals. */
function largest(values: Float32Array): number {
  let best = 0
  for (let k = 1; k < values.length; k++) if (values[k]! > values[best]!) best = k
  return best
}

/** Logarithm of the softmax probability of class k, in double precision. */
function logSoftmax(logits: Float32Array, k: number): number {
  let most = -Infinity
  for (const x of logits) most = Math.max(most, x)
  let sum = 0
  for (const x of logits) sum += Math.exp(x - most)
  return logits[k]! - most - Math.log(sum)
}
