import test from 'ava'
import { compare, gradientFactor } from '../support/budget.js'
import { usableIsas } from '../support/device.js'
import { referenceOptimizer, runOptimizer } from '../support/optimizer.js'
import type { OptimizerRun } from '../support/optimizer.js'
import { normal } from '../support/random.js'
import { exact, single } from '../support/reference.js'

const plainAdam = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weight_decay: 0.01,
  clip_norm: 1,
  bias_correction: 1,
  decayed: 0,
}

function randomRun(size: number, attributes: OptimizerRun['attributes'], step = 3): OptimizerRun {
  const moment2 = normal(`v/${size}`, size).map((value) => value * value)
  const state = { parameters: normal(`p/${size}`, size), moment1: normal(`m/${size}`, size, 0.1), moment2 }
  return { state, gradients: normal(`g/${size}`, size), attributes, learningRate: 1e-3, step }
}

/** Registers a parity test of the op: every instruction set against f64, and the same bits on more threads. */
function testOptimizerOp(op: 'adamw', name: string, run: OptimizerRun): void {
  test(`${op}: ${name}`, async (t) => {
    const want = referenceOptimizer(run, exact)
    const plain = referenceOptimizer(run, single)
    for (const isa of usableIsas()) {
      const got = await runOptimizer(isa, run)
      for (const slot of ['parameters', 'moment1', 'moment2'] as const) {
        const { ok, message } = compare(got[slot], plain[slot].data, want[slot].data, { factor: gradientFactor })
        t.true(ok, `${isa}: ${slot} ${message}`)
      }
      for (const threads of [2, 3])
        t.deepEqual(await runOptimizer(isa, { ...run, threads }), got, `${isa}, ${threads} threads`)
    }
  })
}

for (const size of [16, 48, 1024, 4112, 70_000]) {
  testOptimizerOp('adamw', `${size} parameters`, randomRun(size, { ...plainAdam, decayed: 16 }))
}
testOptimizerOp('adamw', 'everything decays', randomRun(64, { ...plainAdam, decayed: 64 }))
testOptimizerOp('adamw', 'no clipping', randomRun(64, { ...plainAdam, clip_norm: 0 }))
testOptimizerOp('adamw', 'a norm below the bound is not clipped', randomRun(64, { ...plainAdam, clip_norm: 1e6 }))
testOptimizerOp('adamw', 'no bias correction', randomRun(64, { ...plainAdam, bias_correction: 0, epsilon: 1e-6 }))
testOptimizerOp('adamw', 'the first step', randomRun(64, plainAdam, 0))
testOptimizerOp('adamw', 'a late step', randomRun(64, plainAdam, 100_000))

test('adamw: with rate 1 and betas 0 every step is the sign of the gradient', async (t) => {
  const gradients = Float32Array.from({ length: 16 }, (_, i) => (i % 2 ? 4 : -2))
  const start = Float32Array.from({ length: 16 }, (_, i) => 10 * i)
  const attributes = { ...plainAdam, beta1: 0, beta2: 0, epsilon: 0, weight_decay: 0, clip_norm: 0 }
  const state = { parameters: start, moment1: new Float32Array(16), moment2: new Float32Array(16) }
  for (const isa of usableIsas()) {
    const got = await runOptimizer(isa, { state, gradients, attributes, learningRate: 1, step: 0 })
    t.deepEqual([...got.parameters], [...start.map((value, i) => value - Math.sign(gradients[i]!))], isa)
    t.deepEqual([...got.moment1], [...gradients], isa)
    t.deepEqual([...got.moment2], [...gradients.map((value) => value * value)], isa)
  }
})

test('adamw: decay alone halves the decayed part', async (t) => {
  const state = {
    parameters: new Float32Array(32).fill(8),
    moment1: new Float32Array(32),
    moment2: new Float32Array(32),
  }
  const attributes = { ...plainAdam, weight_decay: 0.5, decayed: 16 }
  for (const isa of usableIsas()) {
    const got = await runOptimizer(isa, {
      state,
      gradients: new Float32Array(32),
      attributes,
      learningRate: 1,
      step: 0,
    })
    t.deepEqual([...got.parameters], [...new Float32Array(32).map((_, i) => (i < 16 ? 4 : 8))], isa)
  }
})

for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`adamw: a gradient of ${bad} changes nothing`, async (t) => {
    const run = randomRun(64, plainAdam)
    const gradients = run.gradients.map((value, i) => (i === 33 ? bad : value))
    for (const isa of usableIsas()) {
      const got = await runOptimizer(isa, { ...run, gradients })
      t.false(Number.isFinite(got.norm))
      t.deepEqual({ ...got, norm: 0 }, { ...run.state, norm: 0 }, isa)
    }
  })
}
