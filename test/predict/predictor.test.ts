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

test('runs come and go, and what they take is told', async (t) => {
  const predictor = await load(t)
  const { backbone, tasks, activations } = predictor.memory()
  t.true(backbone > 0 && activations > 0)
  t.deepEqual(Object.keys(tasks), ['one', 'two'])
  t.is(tasks['one'], tasks['two'])
  const [before] = await predictor.predict([{ text: 'red', task: 'two' }])

  const under = predictor.predict(inputs(['red', 'blue']))
  await predictor.remove('one')
  t.is((await under).length, 4)
  t.deepEqual(predictor.tasks, ['two'])
  t.deepEqual(Object.keys(predictor.memory().tasks), ['two'])
  const gone = predictor.predict([{ text: 'red', task: 'one' }])
  await t.throwsAsync(gone, { instanceOf: OptionError, message: /no run "one" is loaded; there are two/ })
  await t.throwsAsync(predictor.remove('one'), { instanceOf: OptionError, code: 'ERR_OPTION' })
  t.deepEqual(await predictor.predict(['red']), [before!])
  await predictor.dispose()
  await t.throwsAsync(predictor.add('two'), { instanceOf: DeviceError, code: 'ERR_DISPOSED' })
})

test('a run that is added is there, and one of a name that is there is refused', async (t) => {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  const [first, second] = [join(folder, 'first'), join(folder, 'second')] as const
  const options = { backbone, train: colourRows(12), epochs: 1, threads: 1 }
  await train({ ...options, output: first, adapter: { size: 4 } })
  await train({ ...options, output: second, adapter: { size: 6 }, head: { pool: 'mean' } })
  const predictor = await Predictor.load(first, { threads: 1, batchTokens: 8 })
  t.is(await predictor.add(second), 'second')
  await t.throwsAsync(predictor.add(second), { code: 'ERR_OPTION', message: /two runs are called "second"/ })
  const texts = ['red', 'blue and green', 'green or blue or red', 'red', 'blue']
  const mixed = await predictor.predict(texts.flatMap((text) => ['first', 'second'].map((task) => ({ text, task }))))
  for (const [i, run] of [first, second].entries()) {
    await using alone = await Predictor.load(run, { threads: 1 })
    t.deepEqual(
      mixed.filter((_, k) => k % 2 === i),
      await alone.predict(texts),
    )
  }
  await predictor.dispose()
  await t.throwsAsync(Predictor.load(first, { batchTokens: 0 }), { code: 'ERR_OPTION', message: /batchTokens/ })
})
