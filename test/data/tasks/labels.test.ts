/** What every kind of task with labels has in common: unknown ones, and those that differ only by blanks. */
import test from 'ava'
import { loadTask, taskFamily, type TaskOptions } from '../../../lib/data/tasks/index.js'
import type { Example } from '../../../lib/data/example.js'
import { encode, labelled } from '../../support/tasks.js'

const words = (tags: readonly string[], row: number): Example => ({
  text: 'red cat',
  words: ['red', 'cat'].slice(0, tags.length),
  label: tags,
  place: { file: 'dev.tsv', row },
})

const cases: readonly (readonly [TaskOptions, (labels: readonly string[], row: number) => Example])[] = [
  [{ kind: 'classification' }, ([label], row) => labelled(label, row)],
  [{ kind: 'multilabel' }, (labels, row) => labelled(labels, row)],
  [{ kind: 'token' }, words],
]

for (const [options, make] of cases) {
  const { kind } = options
  const { fit } = taskFamily(kind)

  test(`${kind}: a training says how to name a label that its data lacks; a run cannot`, (t) => {
    const task = fit(options, [make(['yes'], 1), make(['no'], 2)])
    const unknown = make(['yeah'], 3)
    t.throws(() => encode(task, unknown), {
      code: 'ERR_DATA_LABEL',
      message: /"yeah": not one of the 2 \w+ \(no, yes\); if it is right, name all \w+ by option "task\.labels"$/,
    })
    t.throws(() => encode(task, make(['yess'], 3)), { message: /; did you mean "yes"\? If it is right, name all/ })
    t.throws(() => encode(loadTask(task.record()), unknown), { message: /not one of the 2 \w+ \(no, yes\)$/ })
  })

  test(`${kind}: labels that differ only by blanks are told once, with their rows`, (t) => {
    const warned: string[][] = []
    const warn = (...warning: string[]) => void warned.push(warning)
    const rows = [['yes'], ['no'], [' yes'], ['yes'], [' yes'], ['yes\t']]
    fit(
      options,
      rows.map((labels, i) => make(labels, i + 2)),
      warn,
    )
    t.deepEqual(warned, [
      [
        'WARN_LABEL_BLANKS',
        'dev.tsv, line 4: the label " yes" differs from "yes" (dev.tsv, line 2) only by blanks around it, and is ' +
          'another one; if both are meant to be one, remove the blanks',
      ],
      [
        'WARN_LABEL_BLANKS',
        'dev.tsv, line 7: the label "yes\\t" differs from "yes" (dev.tsv, line 2) only by blanks around it, and is ' +
          'another one; if both are meant to be one, remove the blanks',
      ],
    ])
    warned.length = 0
    fit(options, [make([' yes '], 1), make([' no'], 2), make([' yes '], 3)], warn)
    t.deepEqual(warned, [])
  })
}
