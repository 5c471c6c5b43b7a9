/** The frozen encoder alone: one call at a time, and none after dispose. */
import test from 'ava'
import { DeviceError, DataError } from '../../lib/errors.js'
import { tinyBackbone } from '../support/tiny_encoder.js'

const backbone = tinyBackbone()
const rows = { inputIds: [[1, 2, 3], [4], [5, 6]] }
const start = () => backbone.encoder({ device: 'cpu', threads: 1 })

test('hidden states of every token, row by row', async (t) => {
  const encoder = await start()
  const hidden = await encoder.encode(rows)
  t.deepEqual(
    hidden.map((row) => row.length),
    rows.inputIds.map((row) => row.length * encoder.hidden),
  )
  for (const [b, row] of rows.inputIds.entries())
    t.deepEqual((await encoder.encode({ inputIds: [row] }))[0], hidden[b], 'a row does not depend on its neighbours')
  await encoder.dispose()
})

test('a second call while one runs is refused, and the first is not disturbed', async (t) => {
  const encoder = await start()
  const alone = await encoder.encode(rows)
  const first = encoder.encode(rows)
  const error = await t.throwsAsync(encoder.encode(rows), { instanceOf: DeviceError, code: 'ERR_BUSY' })
  t.regex(error.message, /await it first/)
  t.deepEqual(await first, alone)
  t.deepEqual(await encoder.encode(rows), alone)
  await encoder.dispose()
})

test('two encoders of one backbone do not hold each other up', async (t) => {
  const [one, other] = [await start(), await start()]
  const [a, b] = await Promise.all([one.encode(rows), other.encode(rows)])
  t.deepEqual(a, b)
  await one.dispose()
  t.deepEqual(await other.encode(rows), a, 'the weights outlive the encoder that is gone')
  await other.dispose()
})

test('after dispose every call says so; dispose may be called again', async (t) => {
  const encoder = await start()
  await encoder.dispose()
  await t.throwsAsync(encoder.encode(rows), { instanceOf: DeviceError, code: 'ERR_DISPOSED' })
  await t.notThrowsAsync(encoder.dispose())
  await using scoped = await start()
  t.is((await scoped.encode(rows)).length, 3)
})

test('rows that the encoder has no place for', async (t) => {
  const encoder = await start()
  await t.throwsAsync(encoder.encode({ inputIds: [[50]] }), { instanceOf: DataError, code: 'ERR_DATA_TOKEN' })
  await t.throwsAsync(encoder.encode({ inputIds: [new Array<number>(401).fill(1)] }), { code: 'ERR_DATA_LENGTH' })
  await t.throwsAsync(encoder.encode({ inputIds: [] }), { code: 'ERR_DATA_BATCH' })
  await encoder.dispose()
})
