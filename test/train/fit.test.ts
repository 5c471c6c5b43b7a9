import test from 'ava'
import type { Dataset } from '../../lib/data/dataset.js'
import { TrainError } from '../../lib/errors.js'
import { taskFamily, type Target } from '../../lib/data/tasks/index.js'
import { fit, type FitOptions, type FitState } from '../../lib/train/fit.js'
import type { ProgressEvent } from '../../lib/train/progress.js'

const task = taskFamily('classification').fit(
  { kind: 'classification' },
  ['a', 'b'].map((label) => ({ text: '', label, place: { row: 1 } })),
)

/** Rows of one token, whose number is the row; the target is its parity. */
function dataset(count: number): Dataset {
  const rows = Array.from({ length: count }, (_, i) => ({
    inputIds: [i],
    tokenTypeIds: [0],
    truncated: false,
    target: i % 2,
  }))
  return {
    inputIds: rows.map((row) => row.inputIds),
    tokenTypeIds: rows.map((row) => row.tokenTypeIds),
    targets: rows.map((row) => row.target),
    examples: rows.map((row, i) => ({ example: { text: '', place: { row: i + 1 } }, rows: [row] })),
    tokens: count,
    truncated: 0,
  }
}

/** A model that remembers its batches; `right[e]` says how many validation rows it gets right after epoch e. */
function fakeModel(
  right: readonly number[],
  stepsPerEpoch: number,
  losses: (step: number) => number = () => 1,
  norms: (step: number) => number = () => 1,
) {
  const batches: { ids: number[]; labels: readonly Target[]; learningRate: number }[] = []
  return {
    batches,
    async step(
      batch: { inputIds: readonly (readonly number[])[]; labels: readonly Target[] },
      { learningRate }: { learningRate: number },
    ) {
      batches.push({ ids: batch.inputIds.map(([id]) => id!), labels: batch.labels, learningRate })
      const [step, loss, gradientNorm] = [batches.length, losses(batches.length), norms(batches.length)]
      if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return { loss, gradientNorm }
      throw new TrainError('ERR_TRAIN_LOSS', `step ${step}: ${loss}, ${gradientNorm}`, { step, loss, gradientNorm })
    },
    async forward({ inputIds }: { inputIds: readonly (readonly number[])[] }) {
      const correct = right[batches.length / stepsPerEpoch - 1]!
      return inputIds.map(([id]) => Float32Array.from((id! % 2 === 0) === id! < correct ? [1, 0] : [0, 1]))
    },
  }
}

function options(model: ReturnType<typeof fakeModel>, more: Partial<FitOptions> = {}) {
  const events: ProgressEvent[] = []
  const checkpoints: [FitState, boolean][] = []
  const all: FitOptions = {
    model,
    task,
    train: dataset(10),
    validation: dataset(8),
    epochs: 3,
    batchSize: 4,
    schedule: (step) => step / 10,
    seed: 1,
    metric: 'accuracy',
    emit: (event) => events.push(event),
    checkpoint: async (state, best) => void checkpoints.push([state, best]),
    ...more,
  }
  return { all, events, checkpoints }
}

test('every row once an epoch, with its label, at the rate of the schedule', async (t) => {
  const model = fakeModel([8, 8, 8], 3)
  const { all } = options(model)
  const result = await fit(all)
  t.deepEqual(
    model.batches.map(({ ids }) => ids.length),
    [4, 4, 2, 4, 4, 2, 4, 4, 2],
  )
  for (let epoch = 0; epoch < 3; epoch++) {
    const ids = model.batches.slice(3 * epoch, 3 * epoch + 3).flatMap((batch) => batch.ids)
    t.deepEqual(
      [...ids].sort((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    )
  }
  for (const { ids, labels } of model.batches)
    t.deepEqual(
      labels,
      ids.map((id) => id % 2),
    )
  t.deepEqual(
    model.batches.map(({ learningRate }) => learningRate),
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((step) => step / 10),
  )
  t.is(result.history.length, 3)
  t.is(result.step, 9)
})

test('the best epoch is kept, the first of equals', async (t) => {
  const { all, checkpoints, events } = options(fakeModel([4, 6, 6], 3))
  const result = await fit(all)
  t.is(result.best.epoch, 2)
  t.is(result.best.metrics.accuracy, result.history[1]!.validation!.metrics.accuracy)
  t.deepEqual(
    checkpoints.map(([state, best]) => [state.epoch, state.step, best]),
    [
      [1, 3, true],
      [2, 6, true],
      [3, 9, false],
    ],
  )
  t.deepEqual(
    events.filter(({ kind }) => kind === 'evaluation').map((event) => 'best' in event && event.best),
    [true, true, false],
  )
})

test('early stopping', async (t) => {
  const { all } = options(fakeModel([8, 4, 4, 4, 4, 4], 3), { epochs: 6, earlyStopping: 2 })
  const result = await fit(all)
  t.is(result.history.length, 3)
  t.is(result.best.epoch, 1)
})

test('without validation the last epoch is the best', async (t) => {
  const { all, checkpoints } = options(fakeModel([], 3), { validation: undefined })
  const result = await fit(all)
  t.is(result.best.epoch, 3)
  t.true(checkpoints.every(([, best]) => best))
})

for (const loss of [NaN, Infinity]) {
  test(`a loss of ${loss} stops and names the step`, async (t) => {
    const model = fakeModel([8, 8, 8], 3, (step) => (step === 5 ? loss : 1))
    const { all, checkpoints } = options(model)
    const error = await t.throwsAsync(fit(all), { code: 'ERR_TRAIN_LOSS', message: /step 5: .*\(Epoch 2; / })
    t.like(error, { details: { step: 5, epoch: 2 } })
    t.is(model.batches.length, 5)
    t.is(checkpoints.length, 1)
  })
}

test('a signal lets the step finish', async (t) => {
  const stop = new AbortController()
  const reason = new Error('enough')
  const model = fakeModel([8, 8, 8], 3)
  const { all, checkpoints } = options(model, { signal: stop.signal })
  const emit = (event: ProgressEvent) => {
    if (event.kind === 'step' && event.step === 4) stop.abort(reason)
  }
  t.is(await t.throwsAsync(fit({ ...all, emit })), reason)
  t.is(model.batches.length, 4)
  t.deepEqual(
    checkpoints.map(([state, best]) => [state.epoch, state.step, state.current?.steps, best]),
    [
      [1, 3, undefined, true],
      [1, 4, 1, false],
    ],
  )
})

test('each epoch has an order of its own, and the mean of its losses', async (t) => {
  const model = fakeModel([8, 8, 8], 3, (step) => step / 3)
  const { history, throughput } = await fit(options(model).all)
  const orders = [0, 1, 2].map((epoch) =>
    model.batches
      .slice(3 * epoch, 3 * epoch + 3)
      .flatMap(({ ids }) => ids)
      .join(),
  )
  t.is(new Set(orders).size, 3)
  t.deepEqual(
    history.map(({ trainLoss }) => Math.round(3 * trainLoss)),
    [2, 5, 8],
  )
  t.true(throughput.rowsPerSecond > 0)
})

test('from the state of any moment the rest is the same', async (t) => {
  const right = [4, 6, 6]
  const losses = (step: number) => 1 / step
  const whole = fakeModel(right, 3, losses)
  const { all, checkpoints, events } = options(whole, { isDue: () => true })
  const result = await fit(all)
  const strip = (text: string) => text.replace(/"(seconds|milliseconds)":[^,}]+/g, '')
  t.deepEqual(
    checkpoints.map(([{ epoch, step, current }, best]) => [epoch, step, current?.steps, best]),
    [
      [0, 1, 1, false],
      [0, 2, 2, false],
      [1, 3, undefined, true],
      [1, 4, 1, false],
      [1, 5, 2, false],
      [2, 6, undefined, true],
      [2, 7, 1, false],
      [2, 8, 2, false],
      [3, 9, undefined, false],
    ],
  )
  t.is(events.filter(({ kind }) => kind === 'checkpoint').length, 9)
  for (const [state] of checkpoints) {
    const rest = fakeModel(right, 3, losses)
    rest.batches.push(...whole.batches.slice(0, state.step))
    // As a checkpoint gives it back.
    const start = JSON.parse(JSON.stringify(state)) as FitState
    const again = await fit(options(rest, { start }).all)
    t.deepEqual(rest.batches, whole.batches)
    t.is(strip(JSON.stringify(again.history)), strip(JSON.stringify(result.history)))
    t.deepEqual(again.best, result.best)
    t.is(again.spent.steps, 9)
  }
})

test('a training that has stopped early does not go on', async (t) => {
  const { all, checkpoints } = options(fakeModel([8, 4, 4, 4, 4, 4], 3), { epochs: 6, earlyStopping: 2 })
  await fit(all)
  const model = fakeModel([], 3)
  const result = await fit(options(model, { epochs: 6, earlyStopping: 2, start: checkpoints.at(-1)![0] }).all)
  t.is(model.batches.length, 0)
  t.is(result.best.epoch, 1)
})

test('a signal during the evaluation keeps the steps', async (t) => {
  const stop = new AbortController()
  const { all, checkpoints } = options(fakeModel([8, 8, 8], 3), { signal: stop.signal, validation: dataset(70) })
  const emit = (event: ProgressEvent) => {
    if (event.kind === 'evaluating' && event.done === 64) stop.abort(new Error('enough'))
  }
  await t.throwsAsync(fit({ ...all, emit }), { message: 'enough' })
  t.deepEqual(
    checkpoints.map(([state, best]) => [state.epoch, state.step, state.current?.steps, best]),
    [[0, 3, 3, false]],
  )
})

for (const [what, losses, norms, untouched] of [
  ['loss', () => Infinity, () => 1, false],
  ['loss', () => NaN, () => NaN, true],
  ['gradient norm', () => 1, () => Infinity, true],
] as const) {
  test(`a ${what} that is not finite, ${untouched ? 'nothing' : 'something'} updated`, async (t) => {
    const model = fakeModel(
      [8],
      3,
      (step) => (step === 2 ? losses() : 1),
      (step) => (step === 2 ? norms() : 1),
    )
    const told: unknown[] = []
    const { all, checkpoints } = options(model, {
      schedule: () => 0.01,
      diverged: async (state, same) => void told.push([state.step, state.current?.steps, same]),
    })
    const error = await t.throwsAsync(fit(all), { code: 'ERR_TRAIN_LOSS' })
    t.like(error, { details: { step: 2, epoch: 1 } })
    t.deepEqual(told, [[1, 1, untouched]])
    t.is(checkpoints.length, 0)
  })
}

test('an epoch whose metric is not a number is worse than any other', async (t) => {
  const values = [NaN, 0.25, NaN, 0.5, 0.5]
  let epoch = 0
  const odd = { ...task, score: () => ({ loss: 1, metrics: { accuracy: values[epoch++]! } }) }
  const { all, events } = options(fakeModel([], 3), { task: odd, epochs: 5 })
  const { best } = await fit(all)
  t.is(best.epoch, 4)
  t.deepEqual(
    events.filter(({ kind }) => kind === 'evaluation').map((event) => 'best' in event && event.best),
    [true, true, false, true, false],
  )
})
