import { DataError, OptionError } from '../../errors.js'
import { accuracy, binaryF1, macroF1, matthews } from '../../metrics/classification.js'
import { show, wrongOption } from '../../options.js'
import type { Example } from '../example.js'
import { textFields } from '../fields.js'
import type { Tokenizer } from '../tokenize.js'
import { BlankTwins, checkLabels, labelName, LabelSet, SameType } from './labels.js'
import { encodeSequence, sequenceOutput, sequenceTarget } from './sequence.js'
import { largest, logSoftmax } from './softmax.js'
import type { ExampleOutputs, Prediction, Scores, Task, TaskFamily, TaskRecord, Warn } from './task.js'

/** Options of a classification task: one label a row, of a fixed set of classes. */
export interface ClassificationOptions {
  readonly kind: 'classification'
  /** Classes in the order of the outputs. @default those found in the training data, sorted */
  readonly labels?: readonly string[]
  /** The class whose F1 is reported. @default none: F1 is the mean of the classes' */
  readonly positiveLabel?: string
}

const metrics = ['accuracy', 'f1', 'matthews'] as const

class Classification implements Task {
  readonly kind = 'classification'
  readonly outputs: number
  readonly metrics = metrics
  readonly defaultMetric = 'accuracy'

  constructor(
    private readonly labels: LabelSet,
    private readonly positiveLabel: string | undefined,
  ) {
    this.outputs = labels.names.length
  }

  record(): TaskRecord {
    const { kind, positiveLabel } = this
    const { names: labels } = this.labels
    return positiveLabel === undefined ? { kind, labels } : { kind, labels, positiveLabel }
  }

  encode(example: Example, tokenizer: Tokenizer, maxLength: number) {
    const target = example.label === undefined ? undefined : this.target(example)
    return encodeSequence(example, tokenizer, maxLength, target)
  }

  /** Index of the example's class. */
  target({ label, place }: Example): number {
    return this.labels.index(labelName(label, place), place)
  }

  score(examples: readonly ExampleOutputs[]): Scores {
    const outputs = examples.map(sequenceOutput)
    const gold = examples.map(sequenceTarget) as number[]
    const predicted = outputs.map(largest)
    const positive = this.positiveLabel === undefined ? undefined : this.labels.names.indexOf(this.positiveLabel)
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
    const { names } = this.labels
    const scores = Object.fromEntries(names.map((label, k) => [label, Math.exp(logSoftmax(output, k))]))
    return { label: names[largest(output)]!, scores }
  }
}

export const classification: TaskFamily<ClassificationOptions> = {
  kind: 'classification',
  options: ['labels', 'positiveLabel'],
  fields: textFields,
  metrics,

  check(options) {
    const { labels, positiveLabel } = options
    if (labels !== undefined) checkLabels(labels, 2)
    if (positiveLabel !== undefined && typeof positiveLabel !== 'string')
      throw wrongOption('task.positiveLabel', 'a class name', positiveLabel)
    if (labels !== undefined) checkPositive(positiveLabel, labels)
  },

  fit(options, examples, warn) {
    const found = findLabels(examples, warn)
    const labels = options.labels ?? needTwo(found, examples)
    checkPositive(options.positiveLabel, labels)
    const task = new Classification(new LabelSet(labels, 'classes', true), options.positiveLabel)
    // Labels that were given may not cover the data.
    if (options.labels) for (const example of examples) task.target(example)
    return task
  },

  load(record) {
    const labels = new LabelSet(record.labels as string[], 'classes')
    return new Classification(labels, record.positiveLabel as string | undefined)
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

function findLabels(examples: readonly Example[], warn: Warn | undefined): string[] {
  const type = new SameType()
  const twins = new BlankTwins(warn)
  const names = examples.map(({ label, place }) => {
    type.check(label, place)
    const name = labelName(label, place)
    twins.add(name, place)
    return name
  })
  return [...new Set(names)].sort()
}

function needTwo(labels: string[], examples: readonly Example[]): string[] {
  if (labels.length >= 2) return labels
  const { file } = examples[0]!.place
  throw new DataError(
    'ERR_DATA_CLASSES',
    `${file ?? 'the data'}: all ${examples.length} rows have the label ${show(labels[0])}; a classifier needs at least two classes`,
    { file, field: 'label', found: labels, expected: 'at least 2 classes' },
  )
}
