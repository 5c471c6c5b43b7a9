/** The types of tasks in a user's hands: this file must compile. */
import test from 'ava'
import {
  Predictor,
  train,
  type ClassificationOptions,
  type ExampleInput,
  type MultilabelOptions,
  type Prediction,
  type PredictInput,
  type QuestionInput,
  type RegressionOptions,
  type SpanOptions,
  type TaskKind,
  type TaskOptions,
  type TextInput,
  type TokenOptions,
  type WordsInput,
} from '../../lib/index.js'

const text: TextInput = { text: 'a', textPair: 'b', label: ['x', 'y'] }
const words: WordsInput = { tokens: ['a', 'b'], tags: ['O', 'B-X'] }
const question: QuestionInput = { question: 'a', context: 'b', answers: [{ text: 'b', start: 0 }] }
const own: ExampleInput = { body: 'a', mood: 3 }

const byKind: readonly [ClassificationOptions, RegressionOptions, MultilabelOptions, TokenOptions, SpanOptions] = [
  { kind: 'classification', labels: ['a', 'b'], positiveLabel: 'a' },
  { kind: 'regression' },
  { kind: 'multilabel', labels: ['a'], labelSeparator: '|' },
  { kind: 'token', labels: ['O', 'B-X'] },
  { kind: 'span', maxAnswerTokens: 10, stride: 64 },
]
const tasks: readonly (TaskOptions | TaskKind)[] = [
  ...byKind,
  'classification',
  'regression',
  'multilabel',
  'token',
  'span',
]

/** Compiled, never run. */
export async function use(): Promise<void> {
  const base = { backbone: 'path', output: 'run' }
  for (const task of tasks)
    await train({ ...base, task, train: [text, words, question, own], columns: { label: 'mood' } })
  // @ts-expect-error an option of another kind
  await train({ ...base, train: [text], task: { kind: 'regression', labels: ['a'] } })
  // @ts-expect-error no such kind
  await train({ ...base, train: [text], task: 'multi-label' })
  const predictor = await Predictor.load('run')
  const inputs: PredictInput[] = [
    { text: 'a', textPair: 'b' },
    { tokens: ['a'], task: 'run' },
    { question: 'a', context: 'b' },
  ]
  const [first]: Prediction[] = await predictor.predict(inputs)
  const { task, label, scores, labels, value, tokens, tags, span } = first!
  const range: readonly [string, number, number, number] | undefined = span && [
    span.text,
    span.start,
    span.end,
    span.score,
  ]
  void range
  const seen: readonly [string, string?, number?, string?, number?, string?, string?] = [
    task,
    label,
    scores?.a,
    labels?.[0],
    value,
    tokens?.[0],
    tags?.[0],
  ]
  const kind: TaskKind = predictor.kind(seen[0])
  void kind
}

test('every kind has its options', (t) => {
  t.deepEqual(
    byKind.map(({ kind }) => kind),
    ['classification', 'regression', 'multilabel', 'token', 'span'],
  )
})
