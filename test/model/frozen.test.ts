/** What is frozen stays frozen, byte for byte, and adapters start near the identity. */
import test from 'ava'
import { loadBackbone, Trainer } from '../../lib/index.js'
import { resolveDevice } from '../../lib/runtime/device.js'
import { maxDifference } from '../support/budget.js'
import { readGolden } from '../support/golden.js'
import { goldenStart, goldenTrainer, loadGoldenBackbone, stepLosses } from '../support/model.js'
import type { Backbone, TrainerOptions } from '../support/model.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

const golden = readGolden()
const batch = { inputIds: golden.inputIds, tokenTypeIds: golden.tokenTypeIds }

test('training leaves the frozen weights alone', async (t) => {
  const backbone = await loadGoldenBackbone()
  const encoder = await backbone.encoder({ device: 'cpu', threads: 1 })
  const hiddenBefore = await encoder.encode(batch)
  const trainer = await goldenTrainer(golden, backbone)
  await goldenStart(golden, trainer)
  const weights = backbone.weights(resolveDevice('cpu').isa).native
  const [hashBefore, bytesBefore] = [weights.hash(), weights.bytes()]
  await stepLosses(golden, trainer, 5)
  t.is(weights.hash(), hashBefore)
  t.is(weights.bytes(), bytesBefore)
  t.deepEqual(await encoder.encode(batch), hiddenBefore)
  await trainer.dispose()
  await encoder.dispose()
})

type Change = (name: string, data: Float32Array) => Float32Array

/** The encoder's whole output, seen through a token head that is the identity matrix, with other parameters changed. */
async function hiddenThrough(backbone: Backbone, batch: Rows, options: Partial<TrainerOptions>, change?: Change) {
  const { hidden } = backbone.config
  const trainer = await Trainer.create({
    backbone,
    task: { kind: 'token', outputs: hidden },
    device: 'cpu',
    threads: 1,
    ...options,
  })
  const identity: Change = (name, data) => {
    if (name === 'head.weight') return data.map((_, i) => (i % (hidden + 1) === 0 ? 1 : 0))
    return name === 'head.bias' ? data.map(() => 0) : (change?.(name, data) ?? data)
  }
  const parameters = await trainer.parameters()
  await trainer.setParameters(
    new Map([...parameters].map(([name, { data }]) => [name, { data: identity(name, data) }])),
  )
  const rows = await trainer.forward(batch)
  await trainer.dispose()
  return rows.flatMap((row) => [...row])
}

interface Rows {
  readonly inputIds: readonly (readonly number[])[]
  readonly tokenTypeIds?: readonly (readonly number[])[]
}

/** The largest change of an element, in parts of the largest element: the maximum norm. */
function relativeChange(after: readonly number[], before: readonly number[]): number {
  return maxDifference(after, before) / Math.max(...before.map(Math.abs))
}

test('the identity head shows the hidden states', async (t) => {
  const backbone = await loadGoldenBackbone()
  const encoder = await backbone.encoder({ device: 'cpu', threads: 1 })
  const hidden = (await encoder.encode(batch)).flatMap((row) => [...row])
  t.deepEqual(await hiddenThrough(backbone, batch, { adapter: false }), hidden)
  await encoder.dispose()
})

test('adapters at their start change the output by less than a hundredth', async (t) => {
  const backbone = await loadGoldenBackbone()
  const without = await hiddenThrough(backbone, batch, { adapter: false })
  for (const size of [8, 64]) {
    const change = relativeChange(await hiddenThrough(backbone, batch, { adapter: { size } }), without)
    t.true(change > 0, 'fresh adapters are not the identity itself')
    t.true(change < 1e-2, `size ${size}: ${change}`)
  }
})

test('adapters whose up-projection is zero change nothing, not a bit', async (t) => {
  const backbone = await loadGoldenBackbone()
  const without = await hiddenThrough(backbone, batch, { adapter: false })
  const zeroUp: Change = (name, data) => (name.includes('.adapter.up.') ? data.map(() => 0) : data)
  t.is(maxDifference(await hiddenThrough(backbone, batch, { adapter: { size: 8 } }, zeroUp), without), 0)
})

const folder = sharedPath('models', 'all-MiniLM-L6-v2')

testUnless(lacksShared(folder), 'MiniLM: adapters of size 64 change less than a hundredth', async (t) => {
  const backbone = await loadBackbone(folder!, { verify: false })
  const rows = {
    inputIds: [
      [101, 2129, 2521, 2003, 2009, 1029, 102],
      [101, 2054, 1005, 1055, 102],
    ],
  }
  const without = await hiddenThrough(backbone, rows, { adapter: false })
  const change = relativeChange(await hiddenThrough(backbone, rows, { adapter: { size: 64 } }), without)
  t.log(`largest change: ${change}`)
  t.true(change > 0 && change < 1e-2, `${change}`)
})
