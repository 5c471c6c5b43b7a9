import { DataError } from '../../errors.js'
import { meanSquaredError, pearson, spearman } from '../../metrics/regression.js'
import { show } from '../../options.js'
import { describePlace, type Example } from '../example.js'
import { textFields } from '../fields.js'
import type { Tokenizer } from '../tokenize.js'
import { encodeSequence, sequenceOutput, sequenceTarget } from './sequence.js'
import type { ExampleOutputs, Prediction, Scores, Task, TaskFamily, TaskRecord } from './task.js'

/** Options of a regression task: one number a row. */
export interface RegressionOptions {
  readonly kind: 'regression'
}

const metrics = ['pearson_spearman', 'pearson', 'spearman', 'mse'] as const

/**
 * The head learns values scaled to [0, 1] by the range of the training data; predictions are scaled back. Values beyond
 * that range are neither refused nor cut. The loss is of scaled values, `mse` of those in the data.
 */
class Regression implements Task {
  readonly kind = 'regression'
  readonly outputs = 1
  readonly metrics = metrics
  readonly defaultMetric = 'pearson_spearman'

  constructor(
    private readonly minimum: number,
    private readonly maximum: number,
  ) {}

  record(): TaskRecord {
    const { kind, minimum, maximum } = this
    return { kind, minimum, maximum }
  }

  encode(example: Example, tokenizer: Tokenizer, maxLength: number) {
    const { minimum, maximum } = this
    const target = example.label === undefined ? undefined : (valueOf(example) - minimum) / (maximum - minimum)
    return encodeSequence(example, tokenizer, maxLength, target)
  }

  score(examples: readonly ExampleOutputs[]): Scores {
    const gold = examples.map(({ example }) => valueOf(example))
    const predicted = examples.map((each) => this.value(each))
    const ofValues = pearson(gold, predicted)
    const ofRanks = spearman(gold, predicted)
    return {
      loss: meanSquaredError(
        examples.map((each) => sequenceTarget(each) as number),
        examples.map((each) => sequenceOutput(each)[0]!),
      ),
      metrics: {
        pearson_spearman: (ofValues + ofRanks) / 2,
        pearson: ofValues,
        spearman: ofRanks,
        mse: meanSquaredError(gold, predicted),
      },
    }
  }

  predict(example: ExampleOutputs): Prediction {
    return { value: this.value(example) }
  }

  private value(example: ExampleOutputs): number {
    return this.minimum + sequenceOutput(example)[0]! * (this.maximum - this.minimum)
  }
}

export const regression: TaskFamily<RegressionOptions> = {
  kind: 'regression',
  options: [],
  fields: textFields,
  metrics,

  check() {},

  fit(_options, examples) {
    let minimum = Infinity
    let maximum = -Infinity
    for (const example of examples) {
      const value = valueOf(example)
      minimum = Math.min(minimum, value)
      maximum = Math.max(maximum, value)
    }
    if (minimum < maximum) return new Regression(minimum, maximum)
    const { file } = examples[0]!.place
    throw new DataError(
      'ERR_DATA_RANGE',
      `${file ?? 'the data'}: all ${examples.length} rows have the value ${minimum}; a regression needs different values`,
      { file, field: 'label', found: minimum, expected: 'different values' },
    )
  },

  load(record) {
    return new Regression(record.minimum as number, record.maximum as number)
  },
}

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/** The number that an example is labelled with; tables have it as text. */
function valueOf({ label, place }: Example): number {
  const value = typeof label === 'string' && decimal.test(label.trim()) ? Number(label) : label
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new DataError('ERR_DATA_LABEL', `${describePlace(place)}: the label is ${show(label)}, expected a number`, {
    ...place,
    field: 'label',
    found: label,
    expected: 'a finite number, such as 3 or 2.5',
  })
}
