import test from 'ava'
import { Pace } from '../../lib/cli/pace.js'
import type { ProgressEvent } from '../../lib/index.js'

const start = (step: number): ProgressEvent => ({
  kind: 'start',
  rows: 80,
  validationRows: 40,
  epochs: 4,
  steps: 40,
  step,
  parameters: { trained: 1, total: 2, share: 0.5 },
})
const step = (at: number, milliseconds: number): ProgressEvent => ({
  kind: 'step',
  epoch: Math.ceil(at / 10),
  step: at,
  steps: 40,
  loss: 1 / at,
  gradientNorm: 1,
  learningRate: 1,
  tokens: 100,
  milliseconds,
})
const evaluation: ProgressEvent = {
  kind: 'evaluation',
  epoch: 1,
  rows: 40,
  loss: 1,
  metrics: {},
  best: true,
  milliseconds: 5000,
}

test('speed and time left, evaluations included once they are known', (t) => {
  const pace = new Pace()
  t.deepEqual(pace.follow(start(0)), { epoch: 1, epochs: 4, step: 0, steps: 40, evaluating: undefined })
  t.like(pace.follow(step(1, 1000)), { step: 1, loss: 1, tokensPerSecond: 100, secondsLeft: 39 })
  t.like(pace.follow(step(2, 3000)), { tokensPerSecond: 50, secondsLeft: 76 })
  t.like(pace.follow({ kind: 'evaluating', epoch: 1, done: 8, rows: 40 }), { evaluating: { done: 8, rows: 40 } })
  t.like(pace.follow(evaluation), { step: 2, evaluating: undefined })
  t.is(pace.follow({ kind: 'checkpoint', epoch: 1, step: 10 }), undefined)
  // Three epochs to go, each with an evaluation.
  t.like(pace.follow(step(11, 2000)), { epoch: 2, secondsLeft: 29 * 2 + 3 * 5 })
})

test('only recent steps count', (t) => {
  const pace = new Pace()
  pace.follow(start(0))
  pace.follow(step(1, 100_000))
  for (let i = 0; i < 50; i++) pace.follow(step(2, 10))
  t.like(pace.follow(step(2, 10)), { tokensPerSecond: 10_000 })
})

test('a training that goes on', (t) => {
  t.like(new Pace().follow(start(25)), { epoch: 3, step: 25 })
  t.like(new Pace().follow(start(40)), { epoch: 4, step: 40 })
})
