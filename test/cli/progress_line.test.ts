import test from 'ava'
import { clock, describeMoment, type Moment } from '../../lib/cli/progress_line.js'

const moment: Moment = {
  epoch: 2,
  epochs: 3,
  step: 162,
  steps: 360,
  loss: 0.51234,
  tokensPerSecond: 1675,
  secondsLeft: 102,
}
const bar = { done: '#', rest: '-' }

test('what is most wanted comes first', (t) => {
  const at = (width: number) => describeMoment(moment, width, bar)
  t.is(at(120), '##########--------------  45%  epoch 2/3  step 162/360  loss 0.5123  1,675 tokens/s  1:42 left')
  t.is(at(80), '####-----  45%  epoch 2/3  step 162/360  loss 0.5123  1,675 tokens/s  1:42 left')
  t.is(at(60), '45%  step 162/360  loss 0.5123  1,675 tokens/s  1:42 left')
  t.is(at(55), '####-------  45%  step 162/360  loss 0.5123  1:42 left')
  t.is(at(40), '####------  45%  loss 0.5123  1:42 left')
  t.is(at(20), '45%  1:42 left')
  t.is(at(5), '45%')
  t.is(at(2), '')
})

test('never wider than the terminal allows', (t) => {
  const moments: Moment[] = [
    moment,
    { epoch: 1, epochs: 1, step: 0, steps: 0 },
    { ...moment, step: 360 },
    { ...moment, steps: 1_234_567, step: 1_234_567, secondsLeft: 90_000, loss: 12345.6789 },
    { ...moment, evaluating: { done: 320, rows: 872 } },
  ]
  for (const each of moments) {
    for (let width = 1; width < 140; width++) t.true(describeMoment(each, width, bar).length < Math.max(1, width))
    t.regex(describeMoment(each, 120, bar), /^[#-]{6,24} {2}\d+%/)
  }
})

test('an evaluation', (t) => {
  const evaluating = { done: 1320, rows: 10872 }
  t.is(
    describeMoment({ ...moment, evaluating }),
    '45%  epoch 2/3  evaluating 1,320/10,872 rows  loss 0.5123  1,675 tokens/s  1:42 left',
  )
  t.is(describeMoment({ ...moment, evaluating }, 40, bar), '45%  evaluating 1,320/10,872 rows')
})

test('a clock', (t) => {
  t.deepEqual([0, 7.4, 60, 3599, 3600, 90_061, -1].map(clock), [
    '0:00',
    '0:07',
    '1:00',
    '59:59',
    '1:00:00',
    '25:01:01',
    '0:00',
  ])
})
