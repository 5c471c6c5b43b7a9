import test from 'ava'
import { classification } from '../../../lib/data/tasks/classification.js'
import { checkTask, loadTask, taskFamily } from '../../../lib/data/tasks/index.js'
import { encode, labelled as example, withOutputs } from '../../support/tasks.js'

const { fit } = classification
const kind = 'classification'

test('labels are found in the data and sorted', (t) => {
  const task = fit(
    { kind },
    ['b', 'a', 'c', 'a'].map((label) => example(label)),
  )
  t.is(task.outputs, 3)
  t.deepEqual(task.record(), { kind, labels: ['a', 'b', 'c'] })
  t.is(encode(task, example('c'))[0]!.target, 2)
})

test('numbers and booleans of callers are names', (t) => {
  const task = fit({ kind }, [example(1), example(0)])
  t.deepEqual(task.record().labels, ['0', '1'])
  t.is(encode(task, example('1'))[0]!.target, 1)
})

test('a label that is not in the training data', (t) => {
  const task = fit({ kind }, [example('yes'), example('no')])
  const error = t.throws(() => encode(task, example('maybe', 1204)), {
    code: 'ERR_DATA_LABEL',
    message: /^dev\.tsv, line 1204, label "maybe": not one of the 2 classes \(no, yes\); if it is right/,
  })
  t.like(error, { details: { file: 'dev.tsv', row: 1204, field: 'label', found: 'maybe' } })
  t.throws(() => encode(task, example('yess')), { message: /did you mean "yes"/ })
})

test('labels that cannot be used', (t) => {
  t.throws(() => fit({ kind }, [example('a'), example('a')]), { code: 'ERR_DATA_CLASSES' })
  t.throws(() => fit({ kind }, [example('a'), example('')]), { code: 'ERR_DATA_LABEL', message: /empty/ })
  t.throws(() => fit({ kind }, [example('a'), example(undefined)]), { code: 'ERR_DATA_LABEL' })
})

test('labels of mixed types', (t) => {
  const error = t.throws(() => fit({ kind }, [example('a'), example('b', 2), example(3, 3)]), {
    code: 'ERR_DATA_LABEL',
    message:
      'dev.tsv, line 3: the label is 3 (number), but that of dev.tsv, line 1 is "a" (string); labels must be of one type',
  })
  t.like(error, { details: { file: 'dev.tsv', row: 3, field: 'label', found: 3 } })
  t.throws(() => fit({ kind, labels: ['1', 'a'] }, [example(1), example('a')]), { code: 'ERR_DATA_LABEL' })
  t.throws(() => fit({ kind }, [example(1), example(NaN)]), { code: 'ERR_DATA_LABEL', message: /NaN/ })
})

test('an example without a label is encoded without a target', (t) => {
  const task = fit({ kind }, [example('a'), example('b')])
  t.deepEqual(encode(task, { text: 'red cat', place: { row: 1 } }), [
    { inputIds: [2, 4, 10, 3], tokenTypeIds: [0, 0, 0, 0], truncated: false, target: undefined },
  ])
})

test('labels and positive label by option', (t) => {
  const examples = [example('a'), example('b')]
  const task = fit({ kind, labels: ['b', 'a', 'z'] }, examples)
  t.is(encode(task, example('a'))[0]!.target, 1)
  const refuse = (options: object, message = /option/) =>
    t.throws(() => checkTask({ kind, ...options }), { code: 'ERR_OPTION', message })
  t.throws(() => fit({ kind, labels: ['b', 'z'] }, examples), { code: 'ERR_DATA_LABEL' })
  t.throws(() => fit({ kind, positiveLabel: 'c' }, examples), { code: 'ERR_OPTION' })
  refuse({ labels: ['a', 'a', 'b'] })
  refuse({ labels: ['a'] })
  refuse({ labels: 'a,b' })
  refuse({ labels: ['a', 'b'], positiveLabel: 'c' })
  refuse({ positiveLabel: 5 })
  refuse({ positive: 'a' }, /positiveLabel/)
})

test('scores and predictions', (t) => {
  const task = fit({ kind, positiveLabel: 'b' }, [example('a'), example('b')])
  const outputs = [
    [2, 0],
    [0, 2],
    [1, 0],
    [0, 0],
  ]
  const labels = ['a', 'b', 'b', 'a']
  const { loss, metrics } = task.score(outputs.map((row, i) => withOutputs(task, example(labels[i]), row)))
  const expected = (Math.log(1 + Math.exp(-2)) * 2 + Math.log(1 + Math.exp(1)) + Math.log(2)) / 4
  t.true(Math.abs(loss - expected) < 1e-12)
  t.is(metrics.accuracy, 0.75)
  t.true(Math.abs(metrics.f1! - 2 / 3) < 1e-12)
  const output = withOutputs(task, { text: 'x', place: { row: 1 } }, [0, Math.log(3)])
  const prediction = task.predict(output)
  t.is(prediction.label, 'b')
  t.true(Math.abs(prediction.scores!.b! - 0.75) < 1e-6)
  t.deepEqual(loadTask(task.record()).predict(output), prediction)
})

test('a kind that is not known', (t) => {
  t.throws(() => taskFamily('clasification'), { code: 'ERR_OPTION', message: /did you mean "classification"/ })
})
