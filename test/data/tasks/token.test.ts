import test from 'ava'
import { checkTask, loadTask } from '../../../lib/data/tasks/index.js'
import { token } from '../../../lib/data/tasks/token.js'
import { encode, maxLength, tokenizer, withOutputs } from '../../support/tasks.js'

const { fit } = token
const kind = 'token'

const sentence = (text: string, tags?: unknown, row = 1) => ({
  text,
  words: text.split(' '),
  label: typeof tags === 'string' ? tags.split(' ') : tags,
  place: { file: 'dev.jsonl', row },
})
const examples = [sentence('the red. cat', 'O B-COLOUR O'), sentence('blue bird', 'B-COLOUR B-ANIMAL')]

test('the first token of a word carries its tag', (t) => {
  const task = fit({ kind }, examples)
  t.deepEqual(task.record(), { kind, labels: ['B-ANIMAL', 'B-COLOUR', 'O'] })
  t.like(encode(task, examples[0]!)[0], { inputIds: [2, 15, 4, 16, 10, 3], target: [-100, 2, 1, -100, 2, -100] })
  t.is(encode(task, sentence('the cat'))[0]!.target, undefined)
})

test('tags as text', (t) => {
  const task = fit({ kind }, examples)
  const example = { ...sentence('the cat'), label: 'O B-ANIMAL' }
  t.deepEqual(encode(task, example)[0]!.target, [-100, 2, 0, -100])
})

test('a sentence of several rows has all its tags', (t) => {
  const text = Array.from({ length: 30 }, (_, i) => (i % 3 === 2 ? 'red' : 'cat')).join(' ')
  const example = sentence(text, text.replaceAll('red', 'B-COLOUR').replaceAll('cat', 'O'))
  const task = fit({ kind }, [example])
  const rows = encode(task, example)
  t.deepEqual(
    rows.map(({ inputIds }) => inputIds.length),
    [maxLength, maxLength, 4],
  )
  t.deepEqual(rows[2]!.target, [-100, 1, 0, -100])
  // Logits that are right at the words, and wrong at the special tokens, which do not count.
  const outputs = rows.map(({ target }) =>
    (target as number[]).flatMap((tag) => (tag === 0 ? [4, 0] : tag === 1 ? [0, 4] : [0, 9])),
  )
  const given = withOutputs(task, example, ...outputs)
  t.deepEqual(task.predict(given), { tokens: example.words, tags: example.label as string[] })
  const { loss, metrics } = task.score([given])
  t.true(Math.abs(loss - Math.log(1 + Math.exp(-4))) < 1e-9)
  t.deepEqual(metrics, { entity_f1: 1, entity_precision: 1, entity_recall: 1, token_accuracy: 1 })
})

test('scores over sentences, each word counting once', (t) => {
  const task = fit({ kind }, examples)
  const likely = (...tags: number[]) => tags.flatMap((tag) => [0, 1, 2].map((k) => Number(k === tag)))
  const { loss, metrics } = task.score([
    withOutputs(task, examples[0]!, likely(0, 2, 1, 0, 1, 0)),
    withOutputs(task, examples[1]!, likely(0, 1, 0, 0)),
  ])
  const right = Math.log(Math.E + 2) - 1
  t.true(Math.abs(loss - (5 * right + 1) / 5) < 1e-7)
  t.deepEqual(metrics, { entity_f1: 6 / 7, entity_precision: 0.75, entity_recall: 1, token_accuracy: 0.8 })
})

test('tags that say nothing of entities', (t) => {
  const task = fit({ kind }, [sentence('the cat', 'DET NOUN')])
  t.is(task.defaultMetric, 'token_accuracy')
  t.deepEqual(task.metrics, ['token_accuracy'])
  const given = withOutputs(task, sentence('the cat', 'DET NOUN'), [0, 0, 1, 0, 0, 1, 0, 0])
  t.deepEqual(task.score([given]).metrics, { token_accuracy: 1 })
})

test('tags that cannot be used', (t) => {
  const refuse = (tags: unknown, message: RegExp) => {
    const error = t.throws(() => fit({ kind }, [examples[0]!, sentence('the cat', tags, 5)]), {
      code: 'ERR_DATA_LABEL',
      message,
    })
    t.like(error, { details: { file: 'dev.jsonl', row: 5, field: 'tags' } })
  }
  refuse(['O'], /line 5: 2 words, but 1 tags/)
  refuse(['O', 'O', 'O'], /line 5: 2 words, but 3 tags/)
  refuse(['O', ''], /line 5: tag 2 is ""/)
  refuse(['O', 3], /line 5: tag 2 is 3/)
  refuse(7, /line 5: the tags are 7/)
  refuse(undefined, /line 5: the tags are undefined/)
  t.throws(() => fit({ kind }, [sentence('the cat', 'O O')]), {
    code: 'ERR_DATA_CLASSES',
    message: 'dev.jsonl: all words have the tag "O"; at least two tags are needed',
  })
  const task = loadTask(fit({ kind }, examples).record())
  t.throws(() => task.encode(sentence('the cat', 'O I-ANIMAL', 8), tokenizer, maxLength), {
    code: 'ERR_DATA_LABEL',
    message: /line 8, tag 2 "I-ANIMAL": not one of the 3 tags .*did you mean "B-ANIMAL"/,
  })
})

test('options', (t) => {
  t.deepEqual(fit({ kind, labels: ['O', 'B-COLOUR', 'B-ANIMAL', 'I-ANIMAL'] }, examples).outputs, 4)
  t.throws(() => fit({ kind, labels: ['O', 'B-COLOUR'] }, examples), { code: 'ERR_DATA_LABEL' })
  t.throws(() => checkTask({ kind, labels: ['O'] }), { code: 'ERR_OPTION' })
  t.throws(() => checkTask({ kind, positiveLabel: 'O' } as never), { code: 'ERR_OPTION' })
})
