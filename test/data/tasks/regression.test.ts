import test from 'ava'
import { checkTask, loadTask } from '../../../lib/data/tasks/index.js'
import { regression } from '../../../lib/data/tasks/regression.js'
import { encode, labelled, withOutputs } from '../../support/tasks.js'

const { fit } = regression
const kind = 'regression'
const examples = ['0.5', '2', '4.500'].map((label, i) => labelled(label, i + 2))

test('targets are scaled by the range of the training data', (t) => {
  const task = fit({ kind }, examples)
  t.deepEqual(task.record(), { kind, minimum: 0.5, maximum: 4.5 })
  t.deepEqual(
    examples.map((example) => encode(task, example)[0]!.target),
    [0, 0.375, 1],
  )
  // What lies beyond the range stays beyond it.
  t.is(encode(task, labelled(6.5))[0]!.target, 1.5)
  t.is(encode(task, labelled(undefined))[0]!.target, undefined)
})

test('predictions and errors are in the units of the data, the loss is not', (t) => {
  const task = fit({ kind }, examples)
  const outputs = examples.map((example, i) => withOutputs(task, example, [[0.25, 0.5, 0.75][i]!]))
  t.deepEqual(
    outputs.map((output) => task.predict(output).value),
    [1.5, 2.5, 3.5],
  )
  const { loss, metrics } = task.score(outputs)
  t.is(loss, (0.25 ** 2 + 0.125 ** 2 + 0.25 ** 2) / 3)
  t.is(metrics.mse, (1 + 0.25 + 1) / 3)
  t.is(metrics.spearman, 1)
  t.is(metrics.pearson_spearman, (metrics.pearson! + 1) / 2)
  t.deepEqual(loadTask(task.record()).predict(outputs[0]!), { value: 1.5 })
  t.is(task.defaultMetric, 'pearson_spearman')
})

for (const label of ['', 'high', 'NaN', 'nan', '1,5', '0x10', '1e999', ' ', NaN, Infinity, null, true, [1]]) {
  test(`${JSON.stringify(label)} (${String(label)}) is no number`, (t) => {
    const error = t.throws(() => fit({ kind }, [...examples, labelled(label, 9)]), {
      code: 'ERR_DATA_LABEL',
      message: /^dev\.tsv, line 9: the label is .*, expected a number$/,
    })
    t.like(error, { details: { file: 'dev.tsv', row: 9, field: 'label' } })
  })
}

test('numbers in every usual form', (t) => {
  const task = fit({ kind }, [labelled('0'), labelled('10')])
  const forms = ['5', '+5', '5.', '5.0', '.5e1', ' 5 ', 5, '50e-1']
  for (const form of forms) t.is(encode(task, labelled(form))[0]!.target, 0.5, String(form))
})

test('values that are all equal', (t) => {
  const error = t.throws(() => fit({ kind }, [labelled('3'), labelled('3.0')]), {
    code: 'ERR_DATA_RANGE',
    message: /dev\.tsv: all 2 rows have the value 3/,
  })
  t.like(error, { details: { field: 'label', found: 3 } })
})

test('options', (t) => {
  t.throws(() => checkTask({ kind, labels: ['a'] } as never), {
    code: 'ERR_OPTION',
    message: /"task.labels" belongs to/,
  })
})
