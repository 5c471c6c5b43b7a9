import test from 'ava'
import { CheckpointPace } from '../../lib/train/checkpoint_pace.js'

const minute = 60_000

test('every so many steps', (t) => {
  const pace = new CheckpointPace(4)
  t.deepEqual(
    [1, 2, 3, 4, 5, 8, 12].map((step) => pace.isDue(step)),
    [false, false, false, true, false, true, true],
  )
})

test('never', (t) => {
  let now = 0
  const pace = new CheckpointPace(0, () => now)
  now = 1000 * minute
  t.false(pace.isDue(1))
})

test('once a minute, less often where writing takes long', (t) => {
  let now = 0
  const pace = new CheckpointPace(undefined, () => now)
  t.false(pace.isDue(1))
  now = minute
  t.true(pace.isDue(2))
  t.true(pace.isDue(3))
  now += 100
  pace.written(minute)
  t.false(pace.isDue(4))
  now += minute
  t.true(pace.isDue(5))
  // Four seconds of writing are 2 % of 200 seconds.
  const started = now
  now += 4000
  pace.written(started)
  now += 199_000
  t.false(pace.isDue(6))
  now += 1000
  t.true(pace.isDue(7))
})
