import { readFile } from 'node:fs/promises'
import test from 'ava'
import { checkTask, loadTask } from '../../../lib/data/tasks/index.js'
import { span } from '../../../lib/data/tasks/span.js'
import type { Task } from '../../../lib/data/tasks/task.js'
import { Tokenizer } from '../../../lib/data/tokenize.js'
import { packagePath } from '../../support/shared.js'
import { encode, maxLength, tokenizer, withOutputs } from '../../support/tasks.js'

const { fit } = span
const kind = 'span'

/** Answers are marked: "the <red cat> sees", a question without one has none. */
function marked(context: string, text = 'the cat') {
  const answers = [...context.matchAll(/<(.*?)>/g)].map((match, i) => ({ text: match[1]!, start: match.index - 2 * i }))
  return { text, textPair: context.replace(/[<>]/g, ''), label: answers, place: { file: 'dev.json', row: 1 } }
}
const toPredict = (context: string) => ({ ...marked(context), label: undefined })
const targets = (task: Task, context: string) => encode(task, marked(context)).map(({ target }) => target)

const task = fit({ kind }, [marked('<red> cat')])
/** The row begins [CLS] the cat [SEP]. */
const start = 4
/** Tokens of a context that a row holds. */
const room = maxLength - start - 1

test('targets are token positions in the row', (t) => {
  t.deepEqual(targets(task, 'a <red> cat .'), [[start + 1, start + 1]])
  t.deepEqual(targets(task, '<a red> cat .'), [[start, start + 1]])
  t.deepEqual(targets(task, 'a red <cat .>'), [[start + 2, start + 3]])
  t.deepEqual(targets(task, '<a>'), [[start, start]])
  // Several answers: the first one.
  t.deepEqual(targets(task, 'a <red> <cat> .'), [[start + 1, start + 1]])
  t.is(encode(task, toPredict('a red cat'))[0]!.target, undefined)
})

test('an answer that begins or ends within a token', (t) => {
  // One unknown token, of which the answer is a part.
  t.deepEqual(targets(task, 'a un<know>n cat'), [[start + 1, start + 1]])
  t.deepEqual(targets(task, 'a r<ed c>at .'), [[start + 1, start + 2]])
  t.deepEqual(targets(task, 'a< red >cat'), [[start + 1, start + 1]])
  t.deepEqual(targets(task, 'a 😀 <re\u0301d>\u0301 cat'), [[start + 2, start + 2]])
  t.throws(() => encode(task, marked('a<  >red')), {
    code: 'ERR_DATA_LABEL',
    message: /^dev\.json, line 1: the answer " {2}" has no tokens/,
  })
})

test('windows that do not hold the whole answer point at the first token', (t) => {
  const none = [0, 0]
  // Windows of 11 tokens, every 4: [0, 11) [4, 15) [8, 19) [12, 20).
  const words = Array.from({ length: 20 }, () => 'one')
  const at = (first: number, last: number) => {
    const context = words.map((word, i) => `${i === first ? '<' : ''}${word}${i === last ? '>' : ''}`).join(' ')
    return targets(task, context)
  }
  t.deepEqual(at(0, 0), [[start, start], none, none, none])
  t.deepEqual(at(10, 10), [[start + 10, start + 10], [start + 6, start + 6], [start + 2, start + 2], none]) // prettier-ignore
  t.deepEqual(at(10, 11), [none, [start + 6, start + 7], [start + 2, start + 3], none])
  t.deepEqual(at(3, 4), [[start + 3, start + 4], none, none, none])
  t.deepEqual(at(0, 19), [none, none, none, none])
  t.deepEqual(at(19, 19), [none, none, none, [start + 7, start + 7]])
  t.is(encode(task, toPredict(words.join(' '))).length, 4)
  const stride = fit({ kind, stride: room }, [marked('<red>')])
  t.is(encode(stride, toPredict(words.join(' '))).length, 2)
})

test('only the context is cut', (t) => {
  for (const { inputIds } of encode(task, toPredict('red '.repeat(40))))
    t.deepEqual(inputIds.slice(0, start), [2, 15, 10, 3])
})

/** Logits that point at [first, last] of a row of `length` tokens. */
function pointing(length: number, first: number, last: number, logit = 8): number[] {
  return Array.from({ length }, (_, i) => [i === first ? logit : 0, i === last ? logit : 0]).flat()
}

test('a prediction is a part of the context, as it is written there', (t) => {
  const context = 'A 😀 RE\u0301D  cat .'
  const example = toPredict(context)
  const length = encode(task, example)[0]!.inputIds.length
  const { span: answer } = task.predict(withOutputs(task, example, pointing(length, start + 2, start + 3)))
  t.like(answer, { text: 'RE\u0301D  cat', start: 5, end: 14 })
  t.is(context.slice(answer!.start, answer!.end), answer!.text)
  t.true(answer!.score > 0.9 && answer!.score < 1)
})

test('the best window has the answer', (t) => {
  const example = toPredict(Array.from({ length: 20 }, (_, i) => ['one', 'two', 'red'][i % 3]!).join(' '))
  const rows = encode(task, example)
  const outputs = rows.map(({ inputIds }, r) =>
    r === 2 ? pointing(inputIds.length, start, start + 2) : pointing(inputIds.length, 0, 0, 20),
  )
  t.like(task.predict(withOutputs(task, example, ...outputs)).span, { text: 'red one two' })
})

test('loss and scores', (t) => {
  const examples = [marked('a <red> <cat> .'), marked('the <blue dog> sees')]
  const right = withOutputs(task, examples[0]!, pointing(9, start + 2, start + 2))
  const half = withOutputs(task, examples[1]!, pointing(9, start + 2, start + 2))
  const { loss, metrics } = task.score([right, half])
  const sum = Math.log(Math.exp(8) + 8)
  // The first is at the second answer, whose loss is that of the first; the second has the end alone.
  t.true(Math.abs(loss - (sum + (sum + sum - 8) / 2) / 2) < 1e-6, String(loss))
  t.deepEqual(metrics, { exact_match: 0.5, f1: (1 + 2 / 3) / 2 })
})

test('questions without an answer', (t) => {
  const both = fit({ kind }, [marked('<red> cat'), marked('red cat')])
  t.deepEqual(both.record(), { kind, unanswerable: true, maxAnswerTokens: 30 })
  t.deepEqual(targets(both, 'red cat'), [[0, 0]])
  const example = marked('red cat')
  const none = withOutputs(both, example, pointing(7, 0, 0))
  t.like(both.predict(none).span, { text: '', start: 0, end: 0 })
  t.deepEqual(both.score([none]).metrics, { exact_match: 1, f1: 1 })
  // Where the training data has none, there always is an answer.
  const given = withOutputs(task, example, pointing(7, 0, 0))
  t.is(task.predict(given).span!.text, 'red')
  t.deepEqual(task.score([given]).metrics, { exact_match: 0, f1: 0 })
  t.throws(() => fit({ kind }, [marked('red cat')]), { code: 'ERR_DATA_CLASSES', message: /none of the 1 questions/ })
})

test('a run keeps what the task needs', (t) => {
  t.deepEqual(task.record(), { kind, unanswerable: false, maxAnswerTokens: 30 })
  const short = fit({ kind, maxAnswerTokens: 1, stride: 2 }, [marked('<red> cat')])
  const loaded = loadTask(JSON.parse(JSON.stringify(short.record())) as ReturnType<Task['record']>)
  t.deepEqual(loaded.record(), { kind, unanswerable: false, maxAnswerTokens: 1, stride: 2 })
  const example = toPredict('red cat')
  t.is(loaded.predict(withOutputs(loaded, example, pointing(7, start, start + 1))).span!.text.split(' ').length, 1)
  t.deepEqual([loaded.outputs, loaded.metrics, loaded.defaultMetric], [2, ['exact_match', 'f1'], 'f1'])
})

test('options', (t) => {
  t.notThrows(() => checkTask({ kind, maxAnswerTokens: 5, stride: 64 }))
  for (const wrong of [{ maxAnswerTokens: 0 }, { stride: 0 }, { stride: 1.5 }, { maxAnswerTokens: '5' }])
    t.throws(() => checkTask({ kind, ...wrong } as never), { code: 'ERR_OPTION' })
  t.throws(() => checkTask({ kind, strde: 5 } as never), { code: 'ERR_OPTION', message: /did you mean "stride"/ })
  t.throws(() => checkTask({ kind, labels: ['a'] } as never), { code: 'ERR_OPTION', message: /belongs to tasks/ })
})

test('a tokenizer with byte-level pieces', async (t) => {
  const json: unknown = JSON.parse(await readFile(packagePath('test', 'golden', 'tokenizer_roberta.json'), 'utf8'))
  const roberta = new Tokenizer(json)
  const example = marked('The quick <brown fox> jumps.', 'What jumps?')
  const [row, ...more] = task.encode(example, roberta, 128)
  t.is(more.length, 0)
  const [first, last] = row!.target as [number, number]
  const pieces = roberta.tokens(example.textPair).ids
  const at = row!.inputIds.length - 1 - pieces.length
  t.deepEqual(row!.inputIds.slice(at, -1), pieces)
  const outputs = [Float32Array.from(pointing(row!.inputIds.length, first, last))]
  t.like(task.predict({ example, rows: [row!], outputs }).span, { text: 'brown fox', start: 10, end: 19 })
  const unknown = new Tokenizer({ ...(json as object), normalizer: { type: 'NFC' } })
  t.throws(() => task.encode(example, unknown, 128), { code: 'ERR_TOKENIZER', message: /normalizer is NFC/ })
})

test('questions in a row share the encoding of their context', (t) => {
  let calls = 0
  const counting = Object.create(tokenizer, {
    tokens: { value: (text: string) => (calls++, tokenizer.tokens(text)) },
  }) as Tokenizer
  for (const context of ['a red cat', 'a red cat', 'a dog', 'a dog']) task.encode(toPredict(context), counting, 16)
  t.is(calls, 2)
})
