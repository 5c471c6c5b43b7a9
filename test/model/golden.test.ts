/** A tiny BERT against PyTorch in float64: hidden states, logits, every gradient, ten losses, and a run taken up again. */
import test from 'ava'
import { maxDifference } from '../support/budget.js'
import { readGolden, tensorsOf } from '../support/golden.js'
import { firstDifferent, goldenStart, goldenTrainer, loadGoldenBackbone, stepLosses } from '../support/model.js'

const golden = readGolden()
const { inputIds, tokenTypeIds, labels } = golden

for (const exporter of ['eager', 'sdpa'] as const) {
  test(`hidden states, ${exporter} export`, async (t) => {
    const backbone = await loadGoldenBackbone(exporter)
    const encoder = await backbone.encoder({ device: 'cpu', threads: 1 })
    const rows = await encoder.encode({ inputIds, tokenTypeIds })
    rows.forEach((row, i) => t.true(maxDifference(row, golden.tensors.get(`hidden/${i}`)!.data) < 2e-6, `row ${i}`))
    t.is(rows.length, inputIds.length)
    await encoder.dispose()
  })

  test(`logits, loss and gradients, ${exporter} export`, async (t) => {
    const trainer = await goldenTrainer(golden, await loadGoldenBackbone(exporter))
    await goldenStart(golden, trainer)
    const logits = await trainer.forward({ inputIds, tokenTypeIds })
    t.true(
      maxDifference(
        logits.flatMap((row) => [...row]),
        golden.tensors.get('logits')!.data,
      ) < 1e-5,
    )
    const { loss, gradients } = await trainer.gradients({ inputIds, tokenTypeIds, labels })
    t.true(Math.abs(loss - golden.losses[0]!) < 2e-6, `loss ${loss}`)
    const want = tensorsOf(golden, 'gradients')
    t.deepEqual([...gradients.keys()].sort(), [...want.keys()].sort())
    const top = Math.max(...[...want.values()].flatMap(({ data }) => [...data].map(Math.abs)))
    for (const [name, { shape, data }] of want) {
      const got = gradients.get(name)!
      t.deepEqual([...got.shape], [...shape], name)
      t.true(maxDifference(got.data, data) < 5e-6 * top, `${name}: ${maxDifference(got.data, data)} of ${top}`)
    }
    await trainer.dispose()
  })
}

test('ten losses', async (t) => {
  const trainer = await goldenTrainer(golden, await loadGoldenBackbone())
  await goldenStart(golden, trainer)
  const losses = await stepLosses(golden, trainer, golden.losses.length)
  t.true(maxDifference(losses, golden.losses) < 2e-5, `${losses.join(' ')}`)
  await trainer.dispose()
})

test('gradient norms before clipping', async (t) => {
  const trainer = await goldenTrainer(golden, await loadGoldenBackbone())
  await goldenStart(golden, trainer)
  for (const [i, norm] of golden.gradientNorms.entries()) {
    const { gradientNorm } = await trainer.step(
      { inputIds, tokenTypeIds, labels },
      { learningRate: golden.optimizer.learningRate },
    )
    // Later norms carry the rounding of the steps before.
    const allowed = (i === 0 ? 1e-5 : 1e-4) * norm
    t.true(Math.abs(gradientNorm - norm) < allowed, `step ${i}: ${gradientNorm}, expected ${norm}`)
  }
  await trainer.dispose()
})

test('asking for gradients or logits changes nothing', async (t) => {
  const trainer = await goldenTrainer(golden, await loadGoldenBackbone())
  await goldenStart(golden, trainer)
  const before = await trainer.parameters()
  await trainer.gradients({ inputIds, tokenTypeIds, labels })
  await trainer.forward({ inputIds, tokenTypeIds })
  t.is(firstDifferent(before, await trainer.parameters()), undefined)
  await trainer.dispose()
})
