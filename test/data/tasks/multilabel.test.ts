import test from 'ava'
import { checkTask, loadTask } from '../../../lib/data/tasks/index.js'
import { multilabel } from '../../../lib/data/tasks/multilabel.js'
import { encode, labelled, withOutputs } from '../../support/tasks.js'

const { fit } = multilabel
const kind = 'multilabel'
const target = (task: ReturnType<typeof fit>, label: unknown) => encode(task, labelled(label))[0]!.target

test('labels come as lists, or as text with commas', (t) => {
  for (const rows of [
    [['joy', 'love'], ['anger'], []],
    ['joy,love', 'anger', ''],
    ['joy, love', ' anger ', ','],
  ]) {
    const task = fit(
      { kind },
      rows.map((label) => labelled(label)),
    )
    t.deepEqual(task.record(), { kind, labels: ['anger', 'joy', 'love'], labelSeparator: ',' })
    t.deepEqual(
      rows.map((label) => target(task, label)),
      [
        [0, 1, 1],
        [1, 0, 0],
        [0, 0, 0],
      ],
    )
  }
})

test('a label that is named twice counts once; a list may hold commas', (t) => {
  const task = fit({ kind }, [labelled(['a', 'a', 'b, c'])])
  t.deepEqual(task.record().labels, ['a', 'b, c'])
  t.deepEqual(target(task, ['a', 'a']), [1, 0])
})

test('the bias starts from how often a label occurs', (t) => {
  const rows = [['a', 'b'], ['a'], ['a'], []].map((label) => labelled(label))
  const { initialBias } = fit({ kind, labels: ['a', 'b', 'c'] }, rows)
  // Three, one and none of four rows; with one row more, half labelled.
  const expected = [3.5 / 1.5, 1.5 / 3.5, 0.5 / 4.5].map(Math.log)
  t.true(initialBias!.every((bias, k) => Math.abs(bias - expected[k]!) < 1e-12))
})

test('another separator, other labels', (t) => {
  const task = fit({ kind, labels: ['z', 'b', 'a'], labelSeparator: '|' }, [labelled('a|b')])
  t.deepEqual(target(task, 'b | a'), [0, 1, 1])
  t.deepEqual(target(loadTask(task.record()) as never, 'z|a'), [1, 0, 1])
  t.throws(() => fit({ kind, labels: ['a'] }, [labelled('a,b', 4)]), {
    code: 'ERR_DATA_LABEL',
    message: /line 4, label "b": not one of the 1 labels/,
  })
})

test('labels that cannot be used', (t) => {
  const refuse = (label: unknown, message: RegExp) => {
    const error = t.throws(() => fit({ kind }, [labelled(['a']), labelled(label, 3)]), {
      code: 'ERR_DATA_LABEL',
      message,
    })
    t.like(error, { details: { file: 'dev.tsv', row: 3, field: 'label' } })
  }
  refuse([''], /line 3: the label is empty/)
  refuse([null], /line 3: the label is null/)
  refuse(null, /line 3: the label is null/)
  refuse([1], /line 3: the label is 1 \(number\), but that of dev\.tsv, line 1 is "a" \(string\)/)
  refuse({ a: 1 }, /line 3: the label is an object/)
  t.throws(() => fit({ kind }, [labelled([]), labelled('')]), {
    code: 'ERR_DATA_CLASSES',
    message: 'dev.tsv: none of the 2 rows has a label',
  })
})

test('options', (t) => {
  for (const [options, message] of [
    [{ labels: [] }, /labels/],
    [{ labels: ['a', 'a'] }, /labels/],
    [{ labelSeparator: '' }, /labelSeparator/],
    [{ positiveLabel: 'a' }, /^option "task.positiveLabel" belongs to tasks of kind classification, not to multilabel/],
    [{ separator: '|' }, /unknown option/],
  ] as const)
    t.throws(() => checkTask({ kind, ...options } as never), { code: 'ERR_OPTION', message })
})

test('scores and predictions', (t) => {
  const task = fit({ kind }, [labelled(['a', 'b', 'c'])])
  const rows = [withOutputs(task, labelled(['a']), [3, -1, 0.5]), withOutputs(task, labelled([]), [-2, -2, -2])]
  const { loss, metrics } = task.score(rows)
  const off = (logit: number) => Math.log(1 + Math.exp(logit))
  const expected = (off(-3) + off(-1) + off(0.5) + 3 * off(-2)) / 6
  t.true(Math.abs(loss - expected) < 1e-12)
  t.deepEqual(metrics, { micro_f1: 2 / 3, macro_f1: 1 / 3, subset_accuracy: 0.5 })
  t.is(task.defaultMetric, 'micro_f1')
  const { labels, scores } = task.predict(rows[0]!)
  t.deepEqual(labels, ['a', 'c'])
  t.true(Math.abs(scores!.b! - 1 / (1 + Math.E)) < 1e-12)
  t.deepEqual(task.predict(rows[1]!).labels, [])
})

test('a logit of any size gives a finite loss', (t) => {
  const task = fit({ kind }, [labelled(['a', 'b'])])
  t.is(task.score([withOutputs(task, labelled(['a']), [-1e30, -1e30])]).loss, Math.fround(1e30) / 2)
})
