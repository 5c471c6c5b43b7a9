/** What is frozen stays frozen, byte for byte, and adapters start near the identity. */
import test from 'ava'
import { resolveDevice } from '../../lib/runtime/device.js'
import { maxDifference } from '../support/budget.js'
import { readGolden } from '../support/golden.js'
import { goldenStart, goldenTrainer, loadGoldenBackbone, stepLosses } from '../support/model.js'

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

/** Logits of a head of ones over the first 3 features: they show the pooled hidden state. */
async function logitsWith(
  change: (name: string, data: Float32Array) => Float32Array,
  adapter: boolean,
): Promise<number[]> {
  const backbone = await loadGoldenBackbone()
  const trainer = await goldenTrainer(golden, backbone, adapter ? {} : { adapter: false })
  const parameters = await trainer.parameters()
  const changed = [...parameters].map(([name, { shape, data }]) => [name, { shape, data: change(name, data) }] as const)
  await trainer.setParameters(new Map(changed))
  const rows = await trainer.forward(batch)
  await trainer.dispose()
  return rows.flatMap((row) => [...row])
}

function selectingHead(name: string, data: Float32Array): Float32Array {
  if (name === 'head.weight')
    return data.map((_, i) =>
      i % (data.length / golden.outputs) === Math.floor(i / (data.length / golden.outputs)) ? 1 : 0,
    )
  return name === 'head.bias' ? data.map(() => 0) : data
}

test('adapters at their start change the output by less than a hundredth', async (t) => {
  const without = await logitsWith(selectingHead, false)
  const fresh = await logitsWith(selectingHead, true)
  const top = Math.max(...without.map(Math.abs))
  const change = maxDifference(fresh, without)
  t.true(change > 0, 'fresh adapters are not the identity itself')
  t.true(change < 1e-2 * top, `${change} of ${top}`)
})

test('adapters whose up-projection is zero change nothing', async (t) => {
  const zeroUp = (name: string, data: Float32Array) =>
    name.includes('.adapter.up.') ? data.map(() => 0) : selectingHead(name, data)
  const difference = maxDifference(await logitsWith(zeroUp, true), await logitsWith(selectingHead, false))
  t.true(difference <= 1e-6, `${difference}`)
})
