import { DataError } from '../../errors.js'
import { ignoredLabel } from '../../kinds.js'
import { isEntityTag, scoreEntities, tagAccuracy } from '../../metrics/entities.js'
import { show } from '../../options.js'
import { describePlace, type Example } from '../example.js'
import { wordFields } from '../fields.js'
import type { Tokenizer } from '../tokenize.js'
import { BlankTwins, checkLabels, LabelSet } from './labels.js'
import { largest, logSoftmax } from './softmax.js'
import type { EncodedRow, ExampleOutputs, Prediction, Scores, Task, TaskFamily, TaskRecord } from './task.js'
import { wordRows, type WordRow } from './words.js'

/** Options of a token task: a tag for each word. */
export interface TokenOptions {
  readonly kind: 'token'
  /** Tags in the order of the outputs. @default those found in the training data, sorted */
  readonly labels?: readonly string[]
}

const metrics = ['entity_f1', 'token_accuracy'] as const

interface TaggedRow extends WordRow, EncodedRow {}

/**
 * The first token of a word carries the word's tag; the others do not count. A text of more tokens than a row may have is read in several rows of
 * whole words, so that every word gets a tag.
 */
class Token implements Task<TaggedRow> {
  readonly kind = 'token'
  readonly outputs: number
  readonly metrics: readonly string[]
  readonly defaultMetric: string

  constructor(private readonly labels: LabelSet) {
    this.outputs = labels.names.length
    // Tags that say nothing of entities, such as parts of speech, are counted by words alone.
    this.metrics = labels.names.every(isEntityTag) ? metrics : ['token_accuracy']
    this.defaultMetric = this.metrics[0]!
  }

  record(): TaskRecord {
    return { kind: this.kind, labels: this.labels.names }
  }

  encode(example: Example, tokenizer: Tokenizer, maxLength: number): TaggedRow[] {
    const rows = wordRows(example, tokenizer, maxLength)
    if (example.label === undefined) return rows
    const classes = this.classes(example)
    let word = 0
    return rows.map((row) => {
      const target = new Array<number>(row.inputIds.length).fill(ignoredLabel)
      for (const position of row.firstTokens) target[position] = classes[word++]!
      return { ...row, target }
    })
  }

  /** Index of each word's tag. */
  classes(example: Example): number[] {
    return tagsOf(example).map((tag, i) => this.labels.index(tag, example.place, `tag ${i + 1}`))
  }

  score(examples: readonly ExampleOutputs<TaggedRow>[]): Scores {
    let loss = 0
    let counted = 0
    for (const { rows, outputs } of examples) {
      for (const [r, { firstTokens, target }] of rows.entries()) {
        for (const position of firstTokens)
          loss -= logSoftmax(this.logits(outputs[r]!, position), (target as readonly number[])[position]!)
        counted += firstTokens.length
      }
    }
    const gold = examples.map(({ example }) => tagsOf(example))
    const predicted = examples.map((example) => this.tags(example))
    const accuracy = { token_accuracy: tagAccuracy(gold, predicted) }
    if (this.defaultMetric !== 'entity_f1') return { loss: loss / counted, metrics: accuracy }
    const { f1, precision, recall } = scoreEntities(gold, predicted)
    const entities = { entity_f1: f1, entity_precision: precision, entity_recall: recall }
    return { loss: loss / counted, metrics: { ...entities, ...accuracy } }
  }

  predict(example: ExampleOutputs<TaggedRow>): Prediction {
    return { tokens: example.example.words!, tags: this.tags(example) }
  }

  private tags({ rows, outputs }: ExampleOutputs<TaggedRow>): string[] {
    return rows.flatMap(({ firstTokens }, r) =>
      firstTokens.map((position) => this.labels.names[largest(this.logits(outputs[r]!, position))]!),
    )
  }

  private logits(output: Float32Array, position: number): Float32Array {
    return output.subarray(position * this.outputs, (position + 1) * this.outputs)
  }
}

export const token: TaskFamily<TokenOptions> = {
  kind: 'token',
  options: ['labels'],
  fields: wordFields,
  metrics,

  check(options) {
    if (options.labels !== undefined) checkLabels(options.labels, 2)
  },

  fit(options, examples, warn) {
    const twins = new BlankTwins(warn)
    for (const example of examples) for (const tag of tagsOf(example)) twins.add(tag, example.place)
    const task = new Token(new LabelSet(options.labels ?? findTags(examples), 'tags', true))
    // Tags that were given may not cover the data.
    if (options.labels) for (const example of examples) task.classes(example)
    return task
  },

  load(record) {
    return new Token(new LabelSet(record.labels as string[], 'tags'))
  },
}

/** The tags of the words: a list, or a text with single spaces between them, as tables have it. */
function tagsOf({ label, words, place }: Example): readonly string[] {
  const tags: unknown = typeof label === 'string' ? label.split(' ') : label
  const isTag = (tag: unknown) => typeof tag === 'string' && tag !== ''
  if (!Array.isArray(tags)) throw wrongTags(place, `the tags are ${show(label)}`, label)
  const wrong = tags.findIndex((tag) => !isTag(tag))
  if (wrong >= 0) throw wrongTags(place, `tag ${wrong + 1} is ${show(tags[wrong])}`, tags[wrong])
  if (tags.length !== words!.length) {
    throw wrongTags(place, `${words!.length} words, but ${tags.length} tags`, tags.length)
  }
  return tags as string[]
}

function wrongTags(place: Example['place'], what: string, found: unknown): DataError {
  const expected = 'a tag for each word: a list of names, or names with single spaces between them'
  return new DataError('ERR_DATA_LABEL', `${describePlace(place)}: ${what}; expected ${expected}`, {
    ...place,
    field: 'tags',
    found,
    expected,
  })
}

function findTags(examples: readonly Example[]): string[] {
  const tags = [...new Set(examples.flatMap(tagsOf))].sort()
  if (tags.length >= 2) return tags
  const { file } = examples[0]!.place
  throw new DataError(
    'ERR_DATA_CLASSES',
    `${file ?? 'the data'}: all words have the tag ${show(tags[0])}; at least two tags are needed`,
    { file, field: 'tags', found: tags, expected: 'at least 2 tags' },
  )
}
