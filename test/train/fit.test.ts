import test from 'ava'
import type { Dataset } from '../../lib/data/dataset.js'
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
function fakeModel(right: readonly number[], stepsPerEpoch: number, losses: (step: number) => number = () => 1) {
  const batches: { ids: number[]; labels: readonly Target[]; learningRate: number }[] = []
  return {
    batches,
    async step(
      batch: { inputIds: readonly (readonly number[])[]; labels: readonly Target[] },
      { learningRate }: { learningRate: number },
    ) {
      batches.push({ ids: batch.inputIds.map(([id]) => id!), labels: batch.labels, learningRate })
      return { loss: losses(batches.length), gradientNorm: 1 }
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
    const error = await t.throwsAsync(fit(all), { code: 'ERR_TRAIN_LOSS', message: /step 5 \(epoch 2\)/ })
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
