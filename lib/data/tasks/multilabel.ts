import { DataError } from '../../errors.js'
import { macroF1, microF1, subsetAccuracy } from '../../metrics/multilabel.js'
import { wrongOption } from '../../options.js'
import type { Example } from '../example.js'
import { textFields } from '../fields.js'
import type { Tokenizer } from '../tokenize.js'
import { BlankTwins, checkLabels, labelName, LabelSet, SameType } from './labels.js'
import { encodeSequence, sequenceOutput, sequenceTarget } from './sequence.js'
import type { ExampleOutputs, Prediction, Scores, Task, TaskFamily, TaskRecord, Warn } from './task.js'

/** Options of a multi-label task: any number of labels a row, none too. */
export interface MultilabelOptions {
  readonly kind: 'multilabel'
  /** Labels in the order of the outputs. @default those found in the training data, sorted */
  readonly labels?: readonly string[]
  /** What stands between the labels of a row where they come as text; blanks around a label are dropped. @default ',' */
  readonly labelSeparator?: string
}

const metrics = ['micro_f1', 'macro_f1', 'subset_accuracy'] as const

/** Each label is decided by itself: it is given where its probability is above one half. */
class Multilabel implements Task {
  readonly kind = 'multilabel'
  readonly outputs: number
  readonly metrics = metrics
  readonly defaultMetric = 'micro_f1'

  constructor(
    private readonly labels: LabelSet,
    private readonly labelSeparator: string,
    readonly initialBias?: readonly number[],
  ) {
    this.outputs = labels.names.length
  }

  record(): TaskRecord {
    const { kind, labelSeparator } = this
    return { kind, labels: this.labels.names, labelSeparator }
  }

  encode(example: Example, tokenizer: Tokenizer, maxLength: number) {
    const target = example.label === undefined ? undefined : this.target(example)
    return encodeSequence(example, tokenizer, maxLength, target)
  }

  /** 1 for each of the example's labels, 0 for the others. */
  target(example: Example): readonly number[] {
    const target = new Array<number>(this.outputs).fill(0)
    for (const label of labelsOf(example, this.labelSeparator))
      target[this.labels.index(labelName(label, example.place), example.place)] = 1
    return target
  }

  score(examples: readonly ExampleOutputs[]): Scores {
    const { outputs: labels } = this
    const outputs = examples.map(sequenceOutput)
    const gold = examples.map(sequenceTarget) as (readonly number[])[]
    const predicted = outputs.map((logits) => Array.from(logits, (logit) => Number(logit > 0)))
    let loss = 0
    for (const [i, logits] of outputs.entries())
      for (const [k, logit] of logits.entries()) loss += crossEntropy(logit, gold[i]![k]!)
    return {
      loss: loss / (examples.length * labels),
      metrics: {
        micro_f1: microF1(gold, predicted, labels),
        macro_f1: macroF1(gold, predicted, labels),
        subset_accuracy: subsetAccuracy(gold, predicted, labels),
      },
    }
  }

  predict(example: ExampleOutputs): Prediction {
    const logits = sequenceOutput(example)
    const { names } = this.labels
    return {
      labels: names.filter((_, k) => logits[k]! > 0),
      scores: Object.fromEntries(names.map((label, k) => [label, 1 / (1 + Math.exp(-logits[k]!))])),
    }
  }
}

export const multilabel: TaskFamily<MultilabelOptions> = {
  kind: 'multilabel',
  options: ['labels', 'labelSeparator'],
  fields: textFields,
  metrics,

  check(options) {
    const { labels, labelSeparator } = options
    if (labels !== undefined) checkLabels(labels, 1)
    if (labelSeparator !== undefined && (typeof labelSeparator !== 'string' || labelSeparator === ''))
      throw wrongOption('task.labelSeparator', 'the text between labels', labelSeparator)
  },

  fit(options, examples, warn) {
    const { labelSeparator = ',' } = options
    const found = findLabels(examples, labelSeparator, warn)
    const names = options.labels ?? needOne(found, examples)
    const labels = new LabelSet(names, 'labels', true)
    const task = new Multilabel(labels, labelSeparator)
    return new Multilabel(
      labels,
      labelSeparator,
      logOdds(
        examples.map((example) => task.target(example)),
        names.length,
      ),
    )
  },

  load(record) {
    return new Multilabel(new LabelSet(record.labels as string[], 'labels'), record.labelSeparator as string)
  },
}

/**
 * How likely each label is in the training data, as a logit (one row added, half with the label, so that it is finite).
 * Most labels are rare: from 0, that is one half, the first steps would push all features one way to lower all scores
 * together, and adapters do not find back. So Lin et al. 2017, "Focal loss", §3.3, start from the prior as well.
 */
function logOdds(targets: readonly (readonly number[])[], labels: number): number[] {
  return Array.from({ length: labels }, (_, k) => {
    const count = targets.reduce((sum, target) => sum + target[k]!, 0.5)
    return Math.log(count / (targets.length + 1 - count))
  })
}

/** Binary cross-entropy of one decision, in the form that never overflows. */
function crossEntropy(logit: number, gold: number): number {
  return Math.max(logit, 0) - logit * gold + Math.log1p(Math.exp(-Math.abs(logit)))
}

/** A list as it is; a text in its parts, none for an empty one. */
function labelsOf({ label, place }: Example, separator: string): readonly unknown[] {
  if (Array.isArray(label)) return label
  if (label === '') return []
  return labelName(label, place)
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function findLabels(examples: readonly Example[], separator: string, warn: Warn | undefined): string[] {
  const type = new SameType()
  const twins = new BlankTwins(warn)
  const names = new Set<string>()
  for (const example of examples) {
    for (const label of labelsOf(example, separator)) {
      type.check(label, example.place)
      const name = labelName(label, example.place)
      twins.add(name, example.place)
      names.add(name)
    }
  }
  return [...names].sort()
}

function needOne(labels: string[], examples: readonly Example[]): string[] {
  if (labels.length > 0) return labels
  const { file } = examples[0]!.place
  throw new DataError('ERR_DATA_CLASSES', `${file ?? 'the data'}: none of the ${examples.length} rows has a label`, {
    file,
    field: 'label',
    found: labels,
    expected: 'at least 1 label',
  })
}
