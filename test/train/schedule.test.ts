import test from 'ava'
import { makeSchedule } from '../../lib/train/schedule.js'
import { shuffled } from '../../lib/train/shuffle.js'

const near = (a: number, b: number) => Math.abs(a - b) < 1e-15

test('linear: up in the warm-up, down to one step above 0', (t) => {
  const rate = makeSchedule({ name: 'linear', rate: 1, warmup: 0.1, total: 40 })
  const values = Array.from({ length: 40 }, (_, step) => rate(step))
  t.deepEqual(values.slice(0, 5), [0.25, 0.5, 0.75, 1, 1])
  t.true(near(values[22]!, 0.5))
  t.true(near(values[39]!, 1 / 36))
})

test('adapter-bert: from 0, and down from step 0', (t) => {
  const rate = makeSchedule({ name: 'adapter-bert', rate: 1, warmup: 0.1, total: 40 })
  t.deepEqual([0, 1, 2, 3].map(rate), [0, 0.25, 0.5, 0.75])
  t.true(near(rate(4), 0.9))
  t.true(near(rate(39), 1 / 40))
})

for (const [warmup, total] of [
  [0.1, 573],
  [0.1, 9],
  [0.25, 31],
  [0, 12],
  [1, 12],
] as const) {
  test(`both formulas, warm-up ${warmup} of ${total} steps`, (t) => {
    const warm = Math.max(1, Math.floor(warmup * total))
    const [linear, adapterBert] = (['linear', 'adapter-bert'] as const).map((name) =>
      makeSchedule({ name, rate: 3e-4, warmup, total }),
    )
    for (let step = 0; step < total; step++) {
      const up = step < warm
      t.true(near(linear!(step), 3e-4 * (up ? (step + 1) / warm : (total - step) / (total - warm))), `${step}`)
      t.true(near(adapterBert!(step), 3e-4 * (up ? step / warm : 1 - step / total)), `${step}`)
      t.true(linear!(step) > 0)
    }
  })
}

test('at least one step warms up, and all may', (t) => {
  t.is(makeSchedule({ name: 'linear', rate: 1, warmup: 0, total: 5 })(0), 1)
  t.is(makeSchedule({ name: 'linear', rate: 1, warmup: 1, total: 4 })(3), 1)
  t.is(makeSchedule({ name: 'linear', rate: 1, warmup: 0.1, total: 1 })(0), 1)
})

test('every epoch has its own order, the same for the same seed', (t) => {
  const order = shuffled(1000, 7, 1)
  t.deepEqual(
    [...order].sort((a, b) => a - b),
    Array.from({ length: 1000 }, (_, i) => i),
  )
  t.deepEqual(shuffled(1000, 7, 1), order)
  t.notDeepEqual(shuffled(1000, 7, 2), order)
  t.notDeepEqual(shuffled(1000, 8, 1), order)
  t.notDeepEqual(shuffled(1000, 7 + 2 ** 32, 1), order)
  t.deepEqual([...shuffled(1, 0, 1)], [0])
})

test('the order is even: each row comes to each place equally often', (t) => {
  const counts = new Float64Array(25)
  for (let seed = 0; seed < 5000; seed++) shuffled(5, seed, 1).forEach((row, place) => counts[row * 5 + place]!++)
  // Expected 1000 each, standard deviation about 28.
  for (const count of counts) t.true(Math.abs(count - 1000) < 150, String(count))
})
