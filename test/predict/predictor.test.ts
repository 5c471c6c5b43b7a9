/** A predictor in a program that calls it from several places at once. */
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { DeviceError, OptionError, Predictor, train } from '../../lib/index.js'
import { colourRows, temporaryFolder, tinyBackbone } from '../support/folder.js'

/** Two runs over one backbone. */
async function load(t: ExecutionContext): Promise<Predictor> {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  const outputs = ['one', 'two'].map((name) => join(folder, name))
  for (const [seed, output] of outputs.entries())
    await train({ backbone, train: colourRows(12), output, adapter: { size: 4 }, epochs: 1, threads: 1, seed })
  return Predictor.load(outputs, { threads: 1 })
}

const inputs = (texts: readonly string[]) => texts.flatMap((text) => ['one', 'two'].map((task) => ({ text, task })))

test('calls at once take their turns, and give what they give one by one', async (t) => {
  const predictor = await load(t)
  const batches = [inputs(['red', 'blue and green']), inputs(['green']), inputs(['blue red'])]
  const apart = []
  for (const batch of batches) apart.push(await predictor.predict(batch))
  t.deepEqual(await Promise.all(batches.map((batch) => predictor.predict(batch))), apart)
  await predictor.dispose()
})

test('a text that is cut is told', async (t) => {
  const predictor = await load(t)
  const [short, long] = await predictor.predict([
    { text: 'red', task: 'one' },
    { text: 'red '.repeat(40), task: 'one' },
  ])
  t.false('truncated' in short!)
  t.true(long!.truncated)
  await predictor.dispose()
})

test('what is wrong with an input is told with the place that the caller has for it', async (t) => {
  const predictor = await load(t)
  const inputs = [
    { text: 'red', task: 'one' },
    { text: 5 as never, task: 'one' },
  ]
  const places = [3, 7].map((row) => ({ file: 'standard input', row }))
  await t.throwsAsync(predictor.predict(inputs, { places }), {
    code: 'ERR_DATA_ROW',
    message: /^standard input, line 7: text must be a string, got 5/,
  })
  await t.throwsAsync(predictor.predict(inputs), { code: 'ERR_DATA_ROW', message: /^row 2: text must be/ })
  for (const [options, message] of [
    [{ places: places.slice(1) }, /option "places" must be a list as long as that of the inputs, 2/],
    [{ place: places }, /did you mean "places"/],
  ] as const)
    await t.throwsAsync(predictor.predict(inputs, options as never), { code: 'ERR_OPTION', message })
  await predictor.dispose()
})

test('a refused call holds up none of the others', async (t) => {
  const predictor = await load(t)
  const [first, wrong, last] = [
    predictor.predict(inputs(['red'])),
    predictor.predict([{ text: 'red', task: 'three' }]),
    predictor.predict(inputs(['red'])),
  ]
  await t.throwsAsync(wrong, { instanceOf: OptionError, code: 'ERR_OPTION' })
  t.deepEqual(await last, await first)
  await t.throwsAsync(predictor.predict('red' as never), { instanceOf: OptionError, code: 'ERR_OPTION' })
  await predictor.dispose()
})

test('dispose lets the calls before it finish; later calls say that it is gone', async (t) => {
  const predictor = await load(t)
  const calls = [predictor.predict(inputs(['red'])), predictor.predict(inputs(['blue']))]
  const disposed = predictor.dispose()
  await t.throwsAsync(predictor.predict(inputs(['green'])), { instanceOf: DeviceError, code: 'ERR_DISPOSED' })
  t.deepEqual(
    (await Promise.all(calls)).map((results) => results.length),
    [2, 2],
  )
  await disposed
  await t.notThrowsAsync(predictor.dispose())
})
