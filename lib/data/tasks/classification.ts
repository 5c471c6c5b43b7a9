import { DataError, OptionError } from '../../errors.js'
import { accuracy, binaryF1, macroF1, matthews } from '../../metrics/classification.js'
import { checkKeys, hint, show, wrongOption } from '../../options.js'
import { describePlace, type Example } from '../example.js'
import { textFields } from '../fields.js'
import type { Tokenizer } from '../tokenize.js'
import { checkLabels } from './labels.js'
import { encodeSequence, sequenceOutput, sequenceTarget } from './sequence.js'
import type { ExampleOutputs, Prediction, Scores, Task, TaskFamily, TaskRecord } from './task.js'

/** Options of a classification task. */
export interface ClassificationOptions {
  readonly kind: 'classification'
  /** Classes in the order of the outputs. @default those found in the training data, sorted */
  readonly labels?: readonly string[]
  /** The class whose F1 is reported; without it F1 is the classes' mean. */
  readonly positiveLabel?: string
}

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

  encode(example: Example, tokenizer: Tokenizer, maxLength: number) {
    const target = example.label === undefined ? undefined : this.target(example)
    return encodeSequence(example, tokenizer, maxLength, target)
  }

  /** Index of the example's class. */
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

  score(examples: readonly ExampleOutputs[]): Scores {
    const outputs = examples.map(sequenceOutput)
    const gold = examples.map(sequenceTarget) as number[]
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

  predict(example: ExampleOutputs): Prediction {
    const output = sequenceOutput(example)
    const scores = Object.fromEntries(this.labels.map((label, k) => [label, Math.exp(logSoftmax(output, k))]))
    return { label: this.labels[largest(output)]!, scores }
  }
}

export const classification: TaskFamily<ClassificationOptions> = {
  kind: 'classification',
  fields: textFields,
  metrics: ['accuracy', 'f1', 'matthews'],

  check(options) {
    checkKeys('task', options, ['kind', 'labels', 'positiveLabel'])
    const { labels, positiveLabel } = options
    if (labels !== undefined) checkLabels(labels, 2)
    if (positiveLabel !== undefined && typeof positiveLabel !== 'string')
      throw wrongOption('task.positiveLabel', 'a class name', positiveLabel)
    if (labels !== undefined) checkPositive(positiveLabel, labels)
  },

  fit(options, examples) {
    const labels = options.labels ?? findLabels(examples)
    checkPositive(options.positiveLabel, labels)
    const task = new Classification(labels, options.positiveLabel)
    // Labels that were given may not cover the data.
    if (options.labels) for (const example of examples) task.target(example)
    return task
  },

  load(record) {
    return new Classification(record.labels as string[], record.positiveLabel as string | undefined)
  },
}

function checkPositive(positiveLabel: string | undefined, labels: readonly string[]): void {
  if (positiveLabel === undefined || labels.includes(positiveLabel)) return
  throw new OptionError(
    'ERR_OPTION',
    `option "task.positiveLabel" must be one of the labels (${labels.join(', ')}), not ${show(positiveLabel)}`,
    { option: 'task.positiveLabel', got: positiveLabel, expected: labels },
  )
}

function findLabels(examples: readonly Example[]): string[] {
  const labels = [...new Set(examples.map(labelText))].sort()
  if (labels.length >= 2) return labels
  const { file } = examples[0]!.place
  throw new DataError(
    'ERR_DATA_CLASSES',
    `${file ?? 'the data'}: all ${examples.length} rows have the label ${show(labels[0])}; a classifier needs at least two classes`,
    { file, field: 'label', found: labels, expected: 'at least 2 classes' },
  )
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
