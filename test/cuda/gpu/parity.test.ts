/**
 * A training on a GPU beside the same on the CPU: the gradients of its first step, and its losses. What is measured goes
 * into the file that ONNX_ADAPTERS_PARITY names, for the report of test:gpu.
 */
import { writeFileSync } from 'node:fs'
import test from 'ava'
import { Trainer, type TrainerOptions } from '../../../lib/index.js'
import { describe } from '../../../lib/runtime/binding.js'
import { resolveTrainerOptions } from '../../../lib/train/trainer_options.js'
import { tinyBackbone } from '../../support/tiny_encoder.js'
import { testUnless } from '../../support/unless.js'

const backbone = tinyBackbone()
const isStandIn = describe().cuda.gpus[0]!.includes('stands in')
const steps = isStandIn ? 8 : 100
/** Of the last losses, whose mean is compared where single ones may differ. */
const last = Math.max(2, steps / 5)

const batches = Array.from({ length: 8 }, (_, batch) => ({
  inputIds: [3, 17, 1, 8, 30, 5].map((length, row) =>
    Array.from({ length }, (_, i) => 1 + ((7 * batch + 5 * row + 3 * i) % 49)),
  ),
  labels: [0, 1, 1, 0, 1, 0].map((label, row) => ((row + batch) % 3 === 0 ? label : 1 - label)),
}))

const ways: Readonly<Record<string, Pick<TrainerOptions, 'adapter' | 'trainable'>>> = {
  adapters: { adapter: { size: 8 } },
  'full fine-tuning': { adapter: false, trainable: 'all' },
}

interface Trained {
  readonly gradients: Float32Array
  readonly losses: readonly number[]
}

async function trainOn(device: 'cpu' | 'cuda', way: object, precision: string): Promise<Trained> {
  await using trainer = await Trainer.create({
    backbone,
    task: { kind: 'classification', outputs: 2 },
    dropout: 0.1,
    seed: 5,
    device,
    ...way,
    ...(device === 'cuda' ? { precision: precision as TrainerOptions['precision'] } : {}),
  })
  const { gradients } = await trainer.gradients(batches[0]!)
  const flat = Float32Array.from([...gradients.values()].flatMap(({ data }) => [...data]))
  const losses: number[] = []
  for (let i = 0; i < steps; i++) {
    const learningRate = 1e-3 * (1 - i / steps)
    losses.push((await trainer.step(batches[i % batches.length]!, { learningRate })).loss)
  }
  return { gradients: flat, losses }
}

/** How far off two trainings are: parts of the largest gradient, parts of each loss, and of the mean of the last ones. */
function differences(gpu: Trained, cpu: Trained) {
  const largest = cpu.gradients.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const gradient = cpu.gradients.reduce((most, value, i) => Math.max(most, Math.abs(value - gpu.gradients[i]!)), 0)
  const mean = ({ losses }: Trained) => losses.slice(-last).reduce((sum, loss) => sum + loss, 0) / last
  return {
    gradient: gradient / largest,
    loss: Math.max(...cpu.losses.map((loss, i) => Math.abs(gpu.losses[i]! / loss - 1))),
    lastLosses: Math.abs(mean(gpu) / mean(cpu) - 1),
  }
}

type Precision = 'float32' | 'tf32' | 'bfloat16'
/** The most that they may be. */
const budgets: Readonly<Record<Precision, Partial<ReturnType<typeof differences>>>> = {
  float32: { gradient: 1e-5, loss: 1e-3 },
  tf32: { lastLosses: 0.02 },
  bfloat16: { lastLosses: 0.02 },
}

function whyNot(precision: Precision): string | undefined {
  try {
    resolveTrainerOptions({ backbone, task: 'classification', precision } as unknown as TrainerOptions)
    return undefined
  } catch (error) {
    // The task lacks its labels in any case.
    return /"precision"/.test((error as Error).message) ? 'this version has it not' : undefined
  }
}

const report: object[] = []

for (const [name, way] of Object.entries(ways)) {
  for (const precision of Object.keys(budgets) as Precision[]) {
    testUnless(whyNot(precision), `${name} in ${precision}: ${steps} steps beside the CPU's`, async (t) => {
      const found = differences(await trainOn('cuda', way, precision), await trainOn('cpu', way, precision))
      report.push({ way: name, precision, steps, differences: found, budgets: budgets[precision] })
      t.log(JSON.stringify(found))
      for (const [what, budget] of Object.entries(budgets[precision])) {
        const difference = found[what as keyof typeof found]
        t.true(difference <= budget, `${what}: ${difference}, the budget is ${budget}`)
      }
    })
  }
}

test.after.always(() => {
  const file = process.env.ONNX_ADAPTERS_PARITY
  if (file) writeFileSync(file, JSON.stringify(report, null, 1))
})
