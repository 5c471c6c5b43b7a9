/** Options are checked before any work, and errors say what was expected. */
import test from 'ava'
import { OptionError } from '../../lib/errors.js'
import { resolveTrainerOptions, type TrainerOptions } from '../../lib/train/trainer_options.js'

const resolve = (options: object) =>
  resolveTrainerOptions({ task: { kind: 'classification', outputs: 2 }, ...options } as TrainerOptions)

test('defaults', (t) => {
  const model = resolve({})
  t.deepEqual(model.adapter, { size: 64, activation: 'gelu_tanh', initialStd: 1e-2, layers: 'all' })
  t.deepEqual(model.trainable, ['adapters', 'layerNorm', 'head'])
  t.deepEqual(model.dropout, { hidden: 0, attention: 0, head: 0 })
  t.deepEqual(model.optimizer, {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
    biasCorrection: true,
    clipNorm: 1,
  })
  t.is(model.pool, 'cls')
})

test('training all, or the top layers, means no adapters', (t) => {
  t.is(resolve({ trainable: 'all' }).adapter, false)
  t.is(resolve({ trainable: { topLayers: 2 } }).adapter, false)
  t.is(resolve({ trainable: ['layerNorm', 'head'] }).adapter, false)
})

const without: readonly [unknown, RegExp][] = [
  ['all', /option "trainable" is "all", which/],
  [{ topLayers: 2 }, /option "trainable" is \{ topLayers: 2 \}, which/],
  [['head'], /option "trainable" is head, which/],
  [['layerNorm', 'head'], /option "trainable" is layerNorm, head, which/],
]

for (const [trainable, message] of without) {
  test(`adapter options contradict trainable ${JSON.stringify(trainable)}`, (t) => {
    const refuse = (adapter: object) => t.throws(() => resolve({ trainable, adapter }), { code: 'ERR_OPTION', message })
    const error = refuse({ size: 4, layers: [1] }) as OptionError
    t.regex(error.message, /trains no adapters, but option "adapter.size" and option "adapter.layers" are given/)
    t.regex(error.message, /leave them out, or add adapters to option "trainable"/)
    t.like(error.details, { option: 'adapter.size', got: trainable })
    t.regex(refuse({ initialStd: 0.1 })?.message ?? '', /option "adapter.initialStd" is given: leave it out/)
    for (const adapter of [undefined, false, {}, { size: undefined }])
      t.is(resolve({ trainable, adapter }).adapter, false)
  })
}

test('outputs come from the labels or the kind', (t) => {
  t.is(resolve({ task: { kind: 'classification', labels: ['a', 'b', 'c'] } }).outputs, 3)
  t.is(resolve({ task: { kind: 'regression' } }).outputs, 1)
  t.is(resolve({ task: 'span' }).outputs, 2)
})

const wrong: readonly [object, string, RegExp][] = [
  [{ adapter: { size: 0 } }, 'adapter.size', /whole number/],
  [{ adapter: { size: 1.5 } }, 'adapter.size', /whole number/],
  [{ adapter: { sise: 8 } }, 'sise', /did you mean "size"/],
  [{ adapter: { activation: 'geluTanh' } }, 'adapter.activation', /did you mean "gelu_tanh"/],
  [{ adapter: { initialStd: -1 } }, 'adapter.initialStd', /at least 0/],
  [{ adapter: { layers: [] } }, 'adapter.layers', /list of layers/],
  [{ dropOut: 0.1 }, 'dropOut', /did you mean "dropout"/],
  [{ dropout: 1 }, 'dropout', /below 1/],
  [{ dropout: { hidden: Number.NaN } }, 'dropout.hidden', /not NaN/],
  [{ head: { pool: 'first' } }, 'head.pool', /cls, mean, pooler/],
  [{ trainable: ['adapter'] }, 'trainable', /did you mean "adapters"/],
  [{ trainable: [] }, 'trainable', /at least one/],
  [{ trainable: { topLayers: 0 } }, 'trainable.topLayers', /whole number/],
  [{ optimizer: { beta: 1 } }, 'beta', /did you mean "betas"/],
  [{ optimizer: { betas: [0.9, 1] } }, 'optimizer.betas', /below 1/],
  [{ optimizer: { epsilon: 0 } }, 'optimizer.epsilon', /above 0/],
  [{ seed: -1 }, 'seed', /whole number/],
  [{ precision: 'bf17' }, 'precision', /one of/],
  [{ device: 'cpu', precision: 'bfloat16' }, 'precision', /needs a GPU/],
  [{ device: 'Cpu' }, 'device', /did you mean "cpu"/],
  [{ task: { kind: 'regresion' } }, 'task.kind', /did you mean "regression"/],
  [{ task: { kind: 'classification' } }, 'task.outputs', /whole number/],
  [{ task: { kind: 'span', outputs: 3 } }, 'task.outputs', /2 for span/],
  [{ task: { kind: 'classification', output: 3 } }, 'output', /did you mean "outputs"/],
  [{ task: { kind: 'classification', outputs: 3, lables: ['a'] } }, 'lables', /did you mean "labels"/],
  [{ task: { kind: 'classification', labels: 'abc' } }, 'task.labels', /list of texts/],
  [{ task: { kind: 'classification', labels: ['a', 1] } }, 'task.labels', /list of texts/],
  [{ task: { kind: 'classification', labels: ['a', 'a'] } }, 'task.labels', /different/],
  [{ task: null }, 'task', /not null/],
  [{ task: ['span'] }, 'task', /expected an object, got a list/],
  [{ head: null }, 'head', /expected an object, got null/],
  [{ head: 'cls' }, 'head', /expected an object, got "cls"/],
  [{ adapter: null }, 'adapter', /not null/],
  [{ adapter: true }, 'adapter', /not true/],
  [{ adapter: [] }, 'adapter', /an empty list/],
  [{ optimizer: null }, 'optimizer', /expected an object, got null/],
  [{ optimizer: 'adamw' }, 'optimizer', /expected an object, got "adamw"/],
  [{ dropout: null }, 'dropout', /not null/],
  [{ dropout: [0.1] }, 'dropout', /a list/],
  [{ trainable: null }, 'trainable', /not null/],
]

test('what is no object of options', (t) => {
  for (const options of [undefined, null, 3, 'task'])
    t.throws(() => resolveTrainerOptions(options as never), {
      instanceOf: OptionError,
      code: 'ERR_OPTION',
      message: /^Trainer: expected an object/,
    })
})

for (const [options, option, message] of wrong) {
  test(`${JSON.stringify(options)} is refused`, (t) => {
    const error = t.throws(() => resolve(options), { instanceOf: OptionError, code: 'ERR_OPTION' })
    t.is(error.details.option, option)
    t.regex(error.message, message)
  })
}
