/** Ten steps, saved and taken up by another trainer, then ten more: the same bits as twenty without a break. */
import test from 'ava'
import { readGolden } from '../support/golden.js'
import { firstDifferent, goldenStart, goldenTrainer, loadGoldenBackbone, stepLosses } from '../support/model.js'

const golden = readGolden()

test('save, reload, ten more steps', async (t) => {
  const backbone = await loadGoldenBackbone()
  const options = { dropout: 0.1, seed: 5 }
  const whole = await goldenTrainer(golden, backbone, options)
  await goldenStart(golden, whole)
  await stepLosses(golden, whole, 10)
  const state = await whole.readState()
  const again = await goldenTrainer(golden, backbone, options)
  await again.writeState(state)
  t.is(again.stepCount, 10)
  t.is(firstDifferent(await whole.parameters(), await again.parameters()), undefined)
  t.deepEqual(await stepLosses(golden, again, 10), await stepLosses(golden, whole, 10))
  t.is(firstDifferent(await whole.parameters(), await again.parameters()), undefined)
  const [one, other] = [await whole.readState(), await again.readState()]
  t.is(firstDifferent(one.moment1, other.moment1), undefined)
  t.is(firstDifferent(one.moment2, other.moment2), undefined)
  await whole.dispose()
  await again.dispose()
})
