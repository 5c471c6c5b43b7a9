import { DataError } from '../../errors.js'
import { scoreAnswers } from '../../metrics/span.js'
import { checkNumber } from '../../options.js'
import { describePlace, type Example } from '../example.js'
import { questionFields } from '../fields.js'
import type { Tokenizer } from '../tokenize.js'
import type { TextTokens } from '../tokenizer/offsets.js'
import { readAnswers, type Answer } from './answers.js'
import { findSpan } from './best_span.js'
import { logSoftmax } from './softmax.js'
import type { EncodedRow, ExampleOutputs, Prediction, Scores, Task, TaskFamily, TaskRecord } from './task.js'
import { cutWindows, defaultStride, type Window } from './windows.js'

/**
 * Options of a span task: the answer to a question is a part of its context. Where the training data has questions
 * without an answer (SQuAD 2.0), a prediction may be that there is none; otherwise there always is one.
 */
export interface SpanOptions {
  readonly kind: 'span'
  /** Tokens an answer may have. @default 30 */
  readonly maxAnswerTokens?: number
  /**
   * Tokens from the start of one window of a long context to that of the next.
   * @default 128, and a quarter of the maximum length where that is below 384
   */
  readonly stride?: number
}

const metrics = ['exact_match', 'f1'] as const

/** The row's first token, [CLS]: where the answer is when a window does not have it. */
const noAnswer = [0, 0] as const

interface SpanRow extends Window, EncodedRow {
  readonly context: TextTokens
}

/**
 * Extractive question answering (Rajpurkar et al. 2016; Devlin et al. 2019 §4.2). Only the context is cut, into
 * overlapping windows. Of several reference answers the first is learnt. A window that does not hold the whole answer is
 * trained to point at [CLS], as the code of Devlin et al. does (`run_squad.py`; its comment says that such windows are
 * thrown out), and so is a question without an answer (§4.3). Whether the training data has such questions is kept:
 * only then may a prediction be that there is no answer.
 */
class Span implements Task<SpanRow> {
  readonly kind = 'span'
  readonly outputs = 2
  readonly metrics = metrics
  readonly defaultMetric = 'f1'
  private latest: { readonly tokenizer: Tokenizer; readonly text: string; readonly tokens: TextTokens } | undefined

  constructor(
    private readonly unanswerable: boolean,
    private readonly maxAnswerTokens: number,
    private readonly stride: number | undefined,
  ) {}

  record(): TaskRecord {
    const { kind, unanswerable, maxAnswerTokens, stride } = this
    return { kind, unanswerable, maxAnswerTokens, ...(stride === undefined ? {} : { stride }) }
  }

  encode(example: Example, tokenizer: Tokenizer, maxLength: number): SpanRow[] {
    const context = this.contextTokens(example.textPair!, tokenizer)
    const windows = cutWindows(example, context, tokenizer, maxLength, this.stride ?? defaultStride(maxLength))
    if (example.label === undefined) return windows.map((window) => ({ ...window, context }))
    const [answer] = readAnswers(example)
    const tokens = answer && answerTokens(answer, context, example)
    return windows.map((window) => ({ ...window, context, target: targetIn(window, tokens) }))
  }

  score(examples: readonly ExampleOutputs<SpanRow>[]): Scores {
    let loss = 0
    let rows = 0
    for (const { rows: own, outputs } of examples) {
      for (const [r, { target }] of own.entries()) loss += rowLoss(outputs[r]!, target as readonly [number, number])
      rows += own.length
    }
    const predicted = examples.map((example) => this.predict(example).span!.text)
    const references = examples.map(({ example }) => readAnswers(example).map(({ text }) => text))
    const { exactMatch, f1 } = scoreAnswers(predicted, references)
    return { loss: loss / rows, metrics: { exact_match: exactMatch, f1 } }
  }

  predict({ example, rows, outputs }: ExampleOutputs<SpanRow>): Prediction {
    const { context } = rows[0]!
    const windows = rows.map((window, r) => ({ window, output: outputs[r]! }))
    const { tokens, score } = findSpan(context, windows, this.maxAnswerTokens, this.unanswerable)
    if (!tokens) return { span: { text: '', start: 0, end: 0, score } }
    const start = context.starts[tokens[0]]!
    const end = context.ends[tokens[1]]!
    return { span: { text: example.textPair!.slice(start, end), start, end, score } }
  }

  /** Many questions in a row share their context. */
  private contextTokens(text: string, tokenizer: Tokenizer): TextTokens {
    if (this.latest?.text !== text || this.latest.tokenizer !== tokenizer)
      this.latest = { tokenizer, text, tokens: tokenizer.tokens(text) }
    return this.latest.tokens
  }
}

export const span: TaskFamily<SpanOptions> = {
  kind: 'span',
  options: ['maxAnswerTokens', 'stride'],
  fields: questionFields,
  metrics,

  check(options) {
    const { maxAnswerTokens, stride } = options
    const count = { least: 1, integer: true }
    if (maxAnswerTokens !== undefined) checkNumber('task.maxAnswerTokens', maxAnswerTokens, count)
    if (stride !== undefined) checkNumber('task.stride', stride, count)
  },

  fit({ maxAnswerTokens = 30, stride }, examples) {
    const unanswered = examples.filter((example) => readAnswers(example).length === 0).length
    if (unanswered === examples.length) throw noAnswers(examples)
    return new Span(unanswered > 0, maxAnswerTokens, stride)
  },

  load(record) {
    const { unanswerable, maxAnswerTokens, stride } = record
    return new Span(unanswerable as boolean, maxAnswerTokens as number, stride as number | undefined)
  },
}

/** First and last token that the answer has a part in. */
function answerTokens(answer: Answer, { starts, ends }: TextTokens, { place }: Example): readonly [number, number] {
  const first = ends.findIndex((end) => end > answer.start)
  const last = starts.findLastIndex((start) => start < answer.end)
  if (first >= 0 && first <= last) return [first, last]
  throw new DataError(
    'ERR_DATA_LABEL',
    `${describePlace(place)}: the answer ${JSON.stringify(answer.text)} has no tokens: the tokenizer drops its characters`,
    { ...place, field: 'answers', found: answer.text, expected: 'an answer with letters, digits or punctuation' },
  )
}

/** Where the answer begins and ends in the row. */
function targetIn(window: Window, tokens: readonly [number, number] | undefined): readonly [number, number] {
  if (!tokens) return noAnswer
  const { start, first, count } = window
  const holds = tokens[0] >= first && tokens[1] < first + count
  return holds ? [start + tokens[0] - first, start + tokens[1] - first] : noAnswer
}

/** Mean of the two cross-entropies over the tokens of the row, as the training counts it. */
function rowLoss(output: Float32Array, target: readonly [number, number]): number {
  const column = (k: number) => output.filter((_, i) => i % 2 === k)
  return -(logSoftmax(column(0), target[0]) + logSoftmax(column(1), target[1])) / 2
}

function noAnswers(examples: readonly Example[]): DataError {
  const { file } = examples[0]!.place
  return new DataError(
    'ERR_DATA_CLASSES',
    `${file ?? 'the data'}: none of the ${examples.length} questions has an answer; there is nothing to learn`,
    { file, field: 'answers', found: 0, expected: 'some questions with an answer' },
  )
}
