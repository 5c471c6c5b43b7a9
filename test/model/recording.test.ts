/**
 * Whole training steps of a tiny BERT in memory that holds NaN and guards, against PyTorch; and the same steps
 * as a recording for `oa_replay`, which also counts their memory allocations: there are none.
 */
import test from 'ava'
import { encode } from '../../lib/plan/encode.js'
import { planProgram, weightUses } from '../../lib/plan/plan.js'
import type { NativeBatch } from '../../lib/runtime/native-types.js'
import { weightEntry } from '../../lib/runtime/weights.js'
import { compileModel } from '../../lib/train/compile.js'
import { packTensors } from '../../lib/train/tensors.js'
import { resolveTrainerOptions } from '../../lib/train/trainer_options.js'
import { maxDifference } from '../support/budget.js'
import { guard, open, usableIsas } from '../support/device.js'
import { readGolden, tensorsOf } from '../support/golden.js'
import { goldenOptions, loadGoldenBackbone } from '../support/model.js'
import { recordSteps, type RecordedStep } from '../support/record.js'

const golden = readGolden()
const count = 3

/** The golden batch, packed. */
function goldenBatch(step: number): NativeBatch {
  const { inputIds, tokenTypeIds, labels, optimizer } = golden
  const cu = new Int32Array(inputIds.length + 1)
  inputIds.forEach((row, b) => (cu[b + 1] = cu[b]! + row.length))
  return {
    ids: Int32Array.from(inputIds.flat()),
    types: Int32Array.from(tokenTypeIds.flat()),
    cu,
    labels: Int32Array.from(labels),
    learningRate: optimizer.learningRate,
    step,
  }
}

test('golden steps in poisoned memory, recorded', async (t) => {
  const backbone = await loadGoldenBackbone()
  const { entries, layout } = compileModel(
    backbone.imported,
    resolveTrainerOptions({ ...goldenOptions(golden), backbone }),
    guard,
  )
  const step = entries.filter(({ name }) => name === 'step')
  const flat = (tensors: Parameters<typeof packTensors>[2]) => {
    const buffer = new Float32Array(layout.size)
    packTensors(buffer, [...layout.trained, ...layout.held], tensors)
    return buffer
  }
  const batch = goldenBatch(0)
  const plan = planProgram(step, layout, { tokens: batch.ids.length, sequences: batch.cu.length - 1 })
  const compiled = {
    program: encode(plan, [0, 0]),
    weights: weightUses(step).map(weightEntry),
    parameters: flat(tensorsOf(golden, 'initial')),
    gradients: new Float32Array(layout.size),
  }
  const gradients = flat(tensorsOf(golden, 'gradients'))
  const top = gradients.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

  const steps = Array.from({ length: count }, (_, i): RecordedStep => {
    const loss = { target: 'loss', expected: Float32Array.of(golden.losses[i]!), tolerance: 2e-5 } as const
    const norm = golden.gradientNorms[i]!
    return {
      entry: 'step',
      batch: goldenBatch(i),
      checks: [
        loss,
        { target: 'norm', expected: Float32Array.of(norm), tolerance: 1e-4 * norm },
        ...(i === 0 ? [{ target: 'gradients', expected: gradients, tolerance: 5e-6 * top } as const] : []),
      ],
    }
  })
  for (const isa of usableIsas()) {
    const { session } = await open(compiled, isa, 2)
    for (const { batch: given, checks } of steps) {
      const result = await session.run('step', [given])
      for (const { target, expected, tolerance } of checks) {
        const got =
          target === 'loss' ? result.losses : target === 'norm' ? result.norms : await session.read('gradients')
        const difference = maxDifference(got, expected)
        t.true(difference <= tolerance, `${isa}, step ${given.step}: ${target} is ${difference} off`)
      }
    }
    await session.dispose()
  }
  recordSteps('golden steps', compiled, steps)
})
