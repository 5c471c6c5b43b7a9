/** The public types in a user's hands: this file must compile. */
import test from 'ava'
import {
  evaluate,
  inspect,
  loadBackbone,
  OnnxAdaptersError,
  Predictor,
  train,
  Trainer,
  type Backbone,
  type Evaluation,
  type Inspection,
  type Prediction,
  type ProgressEvent,
  type TrainOptions,
  type TrainResult,
} from '../../lib/index.js'

/** Compiled, never run. */
export async function use(): Promise<void> {
  const options: TrainOptions = {
    backbone: 'path',
    train: [{ text: 'a', textPair: 'b', label: 'c' }],
    validation: (async function* () {
      yield { text: 'a', label: 1 }
    })(),
    output: 'runs/x',
    task: { kind: 'classification', labels: ['a', 'b'], positiveLabel: 'a' },
    preset: 'houlsby2019',
    adapter: { size: 64, activation: 'gelu_tanh', initialStd: 1e-2, layers: 'all' },
    trainable: ['adapters', 'layerNorm', 'head'],
    head: { pool: 'cls' },
    dropout: { hidden: 0.1 },
    metric: undefined,
    earlyStopping: undefined,
    signal: undefined,
    onProgress: undefined,
  }
  const run = train(options)
  for await (const event of run) {
    const step: number | undefined = event.kind === 'step' ? event.step : undefined
    report(event, step)
  }
  const result: TrainResult = await run
  const share: number = result.parameters.share
  const evaluation: Evaluation = await evaluate({ run: result.output, data: 'dev.tsv' })
  const inspection: Inspection = await inspect('path')
  const predictor = await Predictor.load(['runs/x', 'runs/y'])
  const predictions: Prediction[] = await predictor.predict([{ text: 'How far is it?', task: 'x' }])
  const backbone: Backbone = await loadBackbone('path')
  const encoder = await backbone.encoder({ device: 'cpu' })
  const hidden: Float32Array[] = await encoder.encode({ inputIds: [[1, 2]] })
  const trainer = await Trainer.create({
    backbone,
    task: { kind: 'classification', outputs: 2 },
    trainable: { topLayers: 1 },
  })
  const { loss } = await trainer.step({ inputIds: [[1, 2]], labels: [0] }, { learningRate: 1e-3 })
  await trainer.setParameters(await trainer.parameters())
  report(share, evaluation, inspection, predictions, hidden, loss)
  // @ts-expect-error a misspelt option
  await train({ ...options, learning_rate: 1 })
  // @ts-expect-error a value that is none of the choices
  await train({ ...options, head: { pool: 'max' } })
  await trainer.dispose()
}

function report(..._values: unknown[]): void {}

test('the public names are there', (t) => {
  for (const value of [evaluate, inspect, loadBackbone, train, Trainer.create, Predictor.load])
    t.is(typeof value, 'function')
  t.true(new OnnxAdaptersError('ERR_X', 'x') instanceof Error)
  const event: ProgressEvent = { kind: 'checkpoint', epoch: 1, step: 2 }
  t.is(event.kind, 'checkpoint')
})
