import test from 'ava'
import { readAnswers } from '../../../lib/data/tasks/answers.js'

const context = 'a 😀 red cat 😀😀'
const example = (label: unknown) => ({
  text: 'What?',
  textPair: context,
  label,
  place: { file: 'dev.json', row: 7, part: 'question 7' },
})
const red = { text: 'red', start: 5, end: 8 }

test('answers in the forms that data has them', (t) => {
  for (const label of [
    { text: 'red', start: 5 },
    { text: 'red', answer_start: 4 },
    [{ text: 'red', answer_start: 4 }],
    { text: ['red'], answer_start: [4] },
  ])
    t.deepEqual(readAnswers(example(label)), [red], JSON.stringify(label))
  t.deepEqual(
    readAnswers(
      example([
        { text: '😀😀', answer_start: 12 },
        { text: 'a', start: 0 },
      ]),
    ),
    [
      { text: '😀😀', start: 13, end: 17 },
      { text: 'a', start: 0, end: 1 },
    ],
  )
  t.deepEqual(readAnswers(example([])), [])
  t.deepEqual(readAnswers(example({ text: [], answer_start: [] })), [])
})

test('answer_start counts characters, or code units where the text stands there alone', (t) => {
  t.deepEqual(readAnswers(example({ text: 'red', answer_start: 5 })), [red])
  const both = { ...example({ text: 'x', answer_start: 3 }), textPair: '😀12x' }
  t.is(readAnswers(both)[0]!.start, 4)
  // Read either way it stands there: SQuAD's way counts.
  t.is(readAnswers({ ...both, textPair: '😀 xx' })[0]!.start, 4)
  t.throws(() => readAnswers(example({ text: 'red', start: 4 })), { code: 'ERR_DATA_LABEL' })
})

test('answers that cannot be used', (t) => {
  const refuse = (label: unknown, message: RegExp, details: object = {}) => {
    const error = t.throws(() => readAnswers(example(label)), { code: 'ERR_DATA_LABEL', message })
    t.like(error, { details: { file: 'dev.json', row: 7, field: 'answers', ...details } })
  }
  refuse(
    [
      { text: 'red', answer_start: 4 },
      { text: 'cat', answer_start: 4 },
    ],
    /^dev\.json, question 7: answer 2 at 4 is "red", expected "cat", its text; it stands elsewhere in the context$/,
    { found: 'red', start: 4 },
  )
  refuse({ text: 'dog', answer_start: 0 }, /answer 1 at 0 is "a 😀?.*"dog", its text; it is nowhere in the context/u)
  refuse({ text: 'red', start: 999 }, /answer 1 at 999 is ""/)
  refuse({ text: 'red', answer_start: 999 }, /answer 1 at 999 is ""/)
  refuse({ text: '', start: 0 }, /the text of answer 1 is "", expected some of the context/)
  refuse({ text: 'red' }, /the start of answer 1 is undefined, expected a whole number from 0/)
  for (const start of [-1, 1.5, '4', NaN]) refuse({ text: 'red', start }, /the start of answer 1 is/)
  for (const label of ['red', 4, null, ['red'], [null], { start: 4 }, { text: ['red'], answer_start: [] }])
    refuse(label, /answer 1 is .*, expected \{ text, answer_start \}, or \{ text, start \}/)
})
