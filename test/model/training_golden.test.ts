/** Loss, every gradient, five AdamW steps and logits of every kind of task and set of trained tensors, against PyTorch. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { readSafetensors, toFloats } from '../../lib/formats/safetensors.js'
import type { FloatTensor } from '../../lib/formats/safetensors.js'
import { loadBackbone, Trainer } from '../../lib/index.js'
import { maxDifference } from '../support/budget.js'
import type { TrainerOptions } from '../support/model.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

interface Case {
  readonly name: string
  readonly task: 'classification' | 'regression' | 'multilabel' | 'span' | 'token'
  readonly num_outputs: number
  readonly bottleneck: number | null
  readonly adapter_activation: string | null
  readonly pooling: 'pooler' | 'cls' | 'mean' | null
  readonly padding_in_softmax: boolean | null
  readonly trainable?: TrainerOptions['trainable']
  readonly layers?: number[]
  readonly losses: number[]
  readonly grad_norms_before_clipping: number[]
  readonly unstable_after_5_steps: Readonly<Record<string, number[]>>
}

interface BatchFile {
  readonly input_ids: number[][]
  readonly attention_mask: number[][]
  readonly token_type_ids: number[][]
  readonly class_labels: number[]
  readonly regression_targets: number[]
  readonly multilabel_targets: number[][]
  readonly start_positions: number[]
  readonly end_positions: number[]
  readonly token_labels: number[][]
}

const learningRate = 1e-3
/** Adam makes a full step of rounding noise: five steps of the rate. */
const unstableBound = 5.1e-3

const folder = sharedPath('fixtures', 'training-golden')
const cases = folder
  ? readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  : []
if (cases.length === 0) testUnless(lacksShared(folder), 'training values of PyTorch', (t) => t.fail('no cases'))

for (const name of cases) {
  const golden = JSON.parse(readFileSync(join(folder!, name, 'case.json'), 'utf8')) as Case
  // Padding is dropped before the encoder, so a softmax over padding cannot be had.
  if (golden.padding_in_softmax) continue
  test(name, (t) => checkCase(t, golden))
}

async function checkCase(t: ExecutionContext, golden: Case): Promise<void> {
  const trainer = await Trainer.create(await optionsOf(golden))
  const initial = await tensors(golden, 'initial')
  await trainer.setParameters(new Map([...initial].map(([name, { data }]) => [name, { data }])))
  const rows = readBatch(golden)
  await checkForward(t, golden, trainer, rows)
  await checkGradients(t, golden, trainer, rows)
  await checkSteps(t, golden, trainer, rows)
  await trainer.dispose()
}

async function optionsOf(golden: Case): Promise<TrainerOptions> {
  const adapter =
    golden.bottleneck === null
      ? false
      : { size: golden.bottleneck, activation: activationOf(golden), ...(golden.layers && { layers: golden.layers }) }
  return {
    backbone: await loadBackbone(sharedPath('fixtures', 'bert-legacy14-eager')!, { verify: false }),
    task: { kind: golden.task, outputs: golden.num_outputs },
    adapter,
    ...(golden.pooling && { head: { pool: golden.pooling } }),
    ...(golden.trainable && { trainable: golden.trainable }),
    dropout: 0,
    device: 'cpu',
    threads: 1,
  } as TrainerOptions
}

/** The fixtures call the exact form gelu_erf. */
function activationOf({ adapter_activation: name }: Case): string | null {
  return name === 'gelu_erf' ? 'gelu' : name
}

type Rows = Parameters<Trainer['step']>[0]

function readBatch(golden: Case): Rows {
  const batch = JSON.parse(readFileSync(join(folder!, 'batch.json'), 'utf8')) as BatchFile
  const lengths = batch.attention_mask.map((mask) => mask.reduce((a, b) => a + b, 0))
  const cut = (rows: number[][]) => rows.map((row, i) => row.slice(0, lengths[i]))
  const labels = {
    classification: batch.class_labels,
    regression: batch.regression_targets,
    multilabel: batch.multilabel_targets,
    span: batch.start_positions.map((start, i) => [start, batch.end_positions[i]!]),
    token: cut(batch.token_labels),
  }[golden.task]
  return { inputIds: cut(batch.input_ids), tokenTypeIds: cut(batch.token_type_ids), labels } as Rows
}

async function tensors(golden: Case, file: string): Promise<Map<string, FloatTensor>> {
  const { tensors: stored } = await readSafetensors(join(folder!, golden.name, `${file}.safetensors`))
  return new Map([...stored].map(([name, held]) => [name, { shape: held.shape, data: toFloats(name, held) }]))
}

async function checkForward(t: ExecutionContext, golden: Case, trainer: Trainer, rows: Rows): Promise<void> {
  const { shape, data } = (await tensors(golden, 'forward')).get('logits')!
  const got = await trainer.forward(rows)
  const perRow = data.length / shape[0]!
  got.forEach((row, i) => {
    // Values at padding come after those of the real tokens.
    const want = data.subarray(i * perRow, i * perRow + row.length)
    t.true(maxDifference(row, want) < 1e-5, `logits of row ${i}: ${maxDifference(row, want)}`)
  })
}

async function checkGradients(t: ExecutionContext, golden: Case, trainer: Trainer, rows: Rows): Promise<void> {
  const { loss, gradients } = await trainer.gradients(rows)
  t.true(Math.abs(loss - golden.losses[0]!) < 1e-5 * golden.losses[0]!, `loss ${loss}, expected ${golden.losses[0]}`)
  const want = await tensors(golden, 'gradients')
  t.deepEqual([...gradients.keys()].sort(), [...want.keys()].sort())
  const top = Math.max(...[...want.values()].map(({ data }) => data.reduce((a, b) => Math.max(a, Math.abs(b)), 0)))
  for (const [name, { shape, data }] of want) {
    t.deepEqual([...gradients.get(name)!.shape], [...shape], name)
    const error = maxDifference(gradients.get(name)!.data, data)
    t.true(error < 1e-5 * top, `gradient of ${name}: off by ${error}, the largest gradient is ${top}`)
    if (!golden.name.endsWith('-perturbed')) continue
    // Where no tensor's gradient is tiny each must be right by its own measure; a true gradient of 0 is only noise.
    const own = data.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
    t.true(error < 1e-4 * own || own < 1e-12, `gradient of ${name}: off by ${error}, its own largest is ${own}`)
  }
}

async function checkSteps(t: ExecutionContext, golden: Case, trainer: Trainer, rows: Rows): Promise<void> {
  for (const [i, norm] of golden.grad_norms_before_clipping.entries()) {
    const { loss, gradientNorm } = await trainer.step(rows, { learningRate })
    t.true(
      Math.abs(loss - golden.losses[i]!) < 1e-5 * golden.losses[i]!,
      `loss of step ${i}: ${loss}, expected ${golden.losses[i]}`,
    )
    t.true(Math.abs(gradientNorm - norm) < 1e-4 * norm, `norm of step ${i}: ${gradientNorm}, expected ${norm}`)
  }
  const parameters = await trainer.parameters()
  for (const [name, { data }] of await tensors(golden, 'after_5_steps')) {
    const got = parameters.get(name)!.data
    const unstable = new Set(golden.unstable_after_5_steps[name] ?? [])
    const errors = got.map((value, i) => Math.abs(value - data[i]!) / (unstable.has(i) ? unstableBound : 2e-5))
    const worst = errors.reduce((a, b) => Math.max(a, b), 0)
    t.true(worst <= 1, `${name} after five steps: ${worst} times what is allowed`)
  }
}
