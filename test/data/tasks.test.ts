import test from 'ava'
import type { Example } from '../../lib/data/example.js'
import { loadTask, taskFamily } from '../../lib/data/tasks/index.js'

const example = (label: unknown, row = 1): Example => ({ text: 'x', label, place: { file: 'dev.tsv', row } })
const { fit } = taskFamily('classification')
const kind = 'classification'

test('labels are found in the data and sorted', (t) => {
  const task = fit(
    { kind },
    ['b', 'a', 'c', 'a'].map((label) => example(label)),
  )
  t.is(task.outputs, 3)
  t.deepEqual(task.record(), { kind, labels: ['a', 'b', 'c'] })
  t.is(task.target(example('c')), 2)
})

test('numbers and booleans of callers are names', (t) => {
  const task = fit({ kind }, [example(1), example(0)])
  t.deepEqual(task.record().labels, ['0', '1'])
  t.is(task.target(example('1')), 1)
})

test('a label that is not in the training data', (t) => {
  const task = fit({ kind }, [example('yes'), example('no')])
  const error = t.throws(() => task.target(example('maybe', 1204)), {
    code: 'ERR_DATA_LABEL',
    message: 'dev.tsv, line 1204, label "maybe": not one of the 2 classes (no, yes)',
  })
  t.like(error, { details: { file: 'dev.tsv', row: 1204, field: 'label', found: 'maybe' } })
  t.throws(() => task.target(example('yess')), { message: /did you mean "yes"/ })
})

test('labels that cannot be used', (t) => {
  t.throws(() => fit({ kind }, [example('a'), example('a')]), { code: 'ERR_DATA_CLASSES' })
  t.throws(() => fit({ kind }, [example('a'), example('')]), { code: 'ERR_DATA_LABEL', message: /empty/ })
  t.throws(() => fit({ kind }, [example('a'), example(undefined)]), { code: 'ERR_DATA_LABEL' })
})

test('labels and positive label by option', (t) => {
  const examples = [example('a'), example('b')]
  t.is(fit({ kind, labels: ['b', 'a', 'z'] }, examples).target(example('a')), 1)
  t.throws(() => fit({ kind, labels: ['b', 'z'] }, examples), { code: 'ERR_DATA_LABEL' })
  t.throws(() => fit({ kind, labels: ['a', 'a', 'b'] }, examples), { code: 'ERR_OPTION' })
  t.throws(() => fit({ kind, labels: ['a'] }, examples), { code: 'ERR_OPTION' })
  t.throws(() => fit({ kind, positiveLabel: 'c' }, examples), { code: 'ERR_OPTION' })
  t.throws(() => fit({ kind, positive: 'a' } as never, examples), { code: 'ERR_OPTION', message: /positiveLabel/ })
})

test('scores and predictions', (t) => {
  const task = fit({ kind, positiveLabel: 'b' }, [example('a'), example('b')])
  const outputs = [
    [2, 0],
    [0, 2],
    [1, 0],
    [0, 0],
  ].map((row) => Float32Array.from(row))
  const { loss, metrics } = task.score(outputs, [0, 1, 1, 0])
  const expected = (Math.log(1 + Math.exp(-2)) * 2 + Math.log(1 + Math.exp(1)) + Math.log(2)) / 4
  t.true(Math.abs(loss - expected) < 1e-12)
  t.is(metrics.accuracy, 0.75)
  t.true(Math.abs(metrics.f1! - 2 / 3) < 1e-12)
  const prediction = task.predict(Float32Array.from([0, Math.log(3)]))
  t.is(prediction.label, 'b')
  t.true(Math.abs(prediction.scores!.b! - 0.75) < 1e-6)
  t.deepEqual(loadTask(task.record()).predict(outputs[0]!), task.predict(outputs[0]!))
})

test('a kind that is not known', (t) => {
  t.throws(() => taskFamily('clasification'), { code: 'ERR_OPTION', message: /did you mean "classification"/ })
})
