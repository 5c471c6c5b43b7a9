import test from 'ava'
import type { Backbone } from '../../lib/backbone/backbone.js'
import { resolveTrainerOptions } from '../../lib/train/trainer_options.js'
import { resolveTrainOptions, type TrainOptions } from '../../lib/train/train_options.js'

const base: TrainOptions = { backbone: 'b', train: 'a.tsv', output: 'out' }
const resolve = (more: object) => resolveTrainOptions({ ...base, ...more })

test('defaults', (t) => {
  t.like(resolve({}), {
    task: { kind: 'classification' },
    epochs: 3,
    batchSize: 32,
    learningRate: 1e-3,
    warmup: 0.1,
    schedule: 'linear',
    seed: 0,
    trainer: { dropout: 0.1, seed: 0 },
  })
})

test('dropout of one place leaves the others at their default', (t) => {
  const dropoutOf = (dropout: unknown) => resolve({ dropout }).trainer.dropout
  t.deepEqual(dropoutOf({ hidden: 0.2 }), { hidden: 0.2, attention: 0.1, head: 0.1 })
  t.deepEqual(dropoutOf({ attention: 0, head: undefined }), { hidden: 0.1, attention: 0, head: 0.1 })
  t.deepEqual(dropoutOf({}), { hidden: 0.1, attention: 0.1, head: 0.1 })
  t.is(dropoutOf(0.3), 0.3)
})

test('resume and overwrite choose what the folder may hold', (t) => {
  t.like(resolve({}), { mode: 'new', checkpointSteps: undefined })
  t.like(resolve({ resume: true, checkpointSteps: 0 }), { mode: 'resume', checkpointSteps: 0 })
  t.like(resolve({ overwrite: true, resume: false, checkpointSteps: 5 }), { mode: 'overwrite', checkpointSteps: 5 })
})

test('a preset fills in what is not given', (t) => {
  const settings = resolve({ preset: 'adapter-bert', adapter: { size: 8 }, weightDecay: 0 })
  t.like(settings, {
    schedule: 'adapter-bert',
    trainer: {
      adapter: { size: 8, initialStd: 1e-3 },
      head: { pool: 'pooler' },
      optimizer: { epsilon: 1e-6, biasCorrection: false, weightDecay: 0 },
    },
  })
  t.is(resolve({ preset: 'adapter-bert', head: { pool: 'cls' } }).trainer.head!.pool, 'cls')
})

/** Houlsby et al. 2019 §3.1 and google-research/adapter-bert: what they share, and where they differ. */
const published = {
  houlsby2019: { std: 1e-2, pool: 'cls', epsilon: 1e-8, biasCorrection: true, schedule: 'linear' },
  'adapter-bert': { std: 1e-3, pool: 'pooler', epsilon: 1e-6, biasCorrection: false, schedule: 'adapter-bert' },
} as const

for (const [preset, { std, pool, epsilon, biasCorrection, schedule }] of Object.entries(published)) {
  const model = (more: object) => {
    const { trainer, task } = resolve({ preset, ...more })
    return resolveTrainerOptions({ ...trainer, task: { kind: task.kind, outputs: 2 }, backbone: {} as Backbone })
  }

  test(`the preset ${preset}`, (t) => {
    t.like(resolve({ preset }), { schedule, warmup: 0.1, batchSize: 32 })
    t.deepEqual(model({}), {
      kind: 'classification',
      outputs: 2,
      adapter: { size: 64, activation: 'gelu_tanh', initialStd: std, layers: 'all' },
      pool,
      headStd: 0.02,
      trainable: ['adapters', 'layerNorm', 'head'],
      optimizer: { beta1: 0.9, beta2: 0.999, epsilon, weightDecay: 0.01, biasCorrection, clipNorm: 1 },
      dropout: { hidden: 0.1, attention: 0.1, head: 0.1 },
      seed: 0,
    })
  })

  test(`explicit options before the preset ${preset}`, (t) => {
    t.like(resolve({ preset, schedule: 'linear', warmup: 0, batchSize: 8 }), {
      schedule: 'linear',
      warmup: 0,
      batchSize: 8,
    })
    t.like(model({ adapter: { initialStd: 0.5, activation: 'relu' }, head: { pool: 'mean' } }), {
      adapter: { size: 64, initialStd: 0.5, activation: 'relu' },
      pool: 'mean',
    })
    t.like(model({ weightDecay: 0, clipNorm: 2 }), {
      optimizer: { epsilon, biasCorrection, weightDecay: 0, clipNorm: 2 },
    })
    t.is(model({ adapter: false }).adapter, false)
    // The adapter of a preset is a default, no wish: it contradicts nothing.
    for (const trainable of ['all', ['head'], { topLayers: 1 }]) t.is(model({ trainable }).adapter, false)
  })
}

const wrong: readonly [object, RegExp][] = [
  [{ batchsize: 8 }, /"batchsize"; did you mean "batchSize"/],
  [{ learning_rate: 8 }, /did you mean "learningRate"/],
  [{ adapter: { siz: 8 } }, /did you mean "size"/],
  [{ adapter: { size: 0 } }, /adapter\.size/],
  [{ adapter: { size: 1.5 } }, /adapter\.size/],
  [{ adapter: { activation: 'gelutanh' } }, /did you mean "gelu_tanh"/],
  [{ adapter: { initialStd: -1 } }, /initialStd/],
  [{ learningRate: 0 }, /learningRate.*above 0.*not 0/],
  [{ learningRate: -1e-3 }, /learningRate.*not -0\.001/],
  [{ learningRate: 1e39 }, /learningRate.*at most 3\.4/],
  [{ learningRate: NaN }, /learningRate.*not NaN/],
  [{ learningRate: '1e-3' }, /learningRate/],
  [{ epochs: 0 }, /epochs/],
  [{ batchSize: 0 }, /batchSize/],
  [{ batchSize: 2.5 }, /batchSize/],
  [{ warmup: 1.1 }, /warmup/],
  [{ weightDecay: -1 }, /weightDecay/],
  [{ clipNorm: -1 }, /clipNorm/],
  [{ dropout: 1 }, /dropout/],
  [{ dropout: { hiden: 0.1 } }, /did you mean "hidden"/],
  [{ adapter: null }, /adapter.*not null/],
  [{ adapter: true }, /adapter.*not true/],
  [{ adapter: [] }, /adapter.*an empty list/],
  [{ head: null }, /head.*null/],
  [{ dropout: { hidden: 1 } }, /dropout\.hidden/],
  [{ dropout: [0.1] }, /dropout: expected an object, got a list/],
  [{ dropout: null }, /dropout.*not null/],
  [{ maxLength: 0 }, /maxLength/],
  [{ seed: -1 }, /seed/],
  [{ threads: 0 }, /threads/],
  [{ device: 'cpuu' }, /did you mean "cpu"/],
  [{ trainRows: 0 }, /trainRows/],
  [{ earlyStopping: 0 }, /earlyStopping/],
  [{ schedule: 'cosine' }, /schedule/],
  [{ metric: 'acuracy' }, /did you mean "accuracy"/],
  [{ task: 'clasification' }, /did you mean "classification"/],
  [{ preset: 'houlsby' }, /did you mean "houlsby2019"/],
  [{ head: { pool: 'max' } }, /head\.pool/],
  [{ trainable: ['adapter'] }, /did you mean "adapters"/],
  [{ trainable: [] }, /trainable/],
  [{ trainable: 'all', adapter: { size: 4 } }, /"trainable" is "all", which trains no adapters.*"adapter\.size"/],
  [{ trainable: ['head'], preset: 'houlsby2019', adapter: { layers: 'all' } }, /"trainable".*"adapter\.layers"/],
  [{ columns: { txt: 'a' } }, /did you mean "text"/],
  [{ train: undefined }, /"train"/],
  [{ train: 5 }, /"train"/],
  [{ validation: {} }, /"validation"/],
  [{ backbone: '' }, /"backbone"/],
  [{ backbone: {} }, /"backbone"/],
  [{ task: null }, /"task".*not null/],
  [{ columns: null }, /columns.*null/],
  [{ precision: 'fp32' }, /"precision".*auto, float32/],
  [{ output: undefined }, /"output"/],
  [{ overwrite: 'yes' }, /"overwrite"/],
  [{ signal: {} }, /"signal"/],
  [{ onProgress: 5 }, /"onProgress"/],
  [{ resume: 'yes' }, /"resume"/],
  [{ resume: true, overwrite: true }, /"overwrite" and option "resume" exclude each other/],
  [{ checkpointSteps: -1 }, /checkpointSteps/],
  [{ checkpointSteps: 1.5 }, /checkpointSteps/],
  [{ earlyStopping: 2 }, /"earlyStopping" needs option "validation"/],
]

for (const [options, message] of wrong) {
  test(`refuses ${JSON.stringify(options, (_, value: unknown) => (typeof value === 'number' || value === undefined ? String(value) : value))}`, (t) => {
    t.throws(() => resolve(options), { code: 'ERR_OPTION', message })
  })
}

test('no options at all', (t) => {
  t.throws(() => resolveTrainOptions(undefined as never), { code: 'ERR_OPTION' })
})
