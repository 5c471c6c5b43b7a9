/** Options by their flags, and messages about options in the words of the command line. */
import test from 'ava'
import { flagsOf, nameFlags, toOptions } from '../../lib/cli/flags.js'
import { trainCommand } from '../../lib/cli/train.js'
import { taskOptionNames } from '../../lib/data/tasks/index.js'
import { resolveTrainOptions, trainOptionNames, type TrainOptions } from '../../lib/train/train_options.js'

const flags = flagsOf([trainCommand()])

test('every option of train that a command line can give has a flag, and every flag an option', (t) => {
  const nested = ['adapter', 'head', 'columns', 'signal', 'onProgress']
  const parts = ['columns.text', 'columns.textPair', 'columns.label', 'head.pool', 'task.kind']
  const adapter = ['size', 'activation', 'initialStd', 'layers'].map((name) => `adapter.${name}`)
  const task = taskOptionNames.map((name) => `task.${name}`)
  const expected = [...trainOptionNames.filter((name) => !nested.includes(name)), ...parts, ...adapter, ...task]
  t.deepEqual([...flags.keys()].sort(), expected.sort())
})

test('flags become options', (t) => {
  t.deepEqual(toOptions({ task: 'regression', adapterSize: 8, adapterLayers: [0], epochs: 2, pool: undefined }), {
    task: { kind: 'regression' },
    adapter: { size: 8, layers: [0] },
    epochs: 2,
  })
})

test('messages name flags', (t) => {
  const told = (message: string) => nameFlags(message, flags)
  t.is(told('option "adapter.size" must be 1, not "seed"'), '--adapter-size must be 1, not "seed"')
  t.is(told('option "overwrite" and option "resume" differ'), '--overwrite and --resume differ')
  t.is(told('option "dropout.head" must be a number'), '--dropout (head) must be a number')
  t.is(
    told('head: unknown option "seed"; did you mean "epochs"?'),
    'head: unknown option "seed"; did you mean "epochs"?',
  )
  t.is(told('ERR_OPTION: dropout: unknown option "seed"'), 'ERR_OPTION: --dropout: unknown option "seed"')
  t.is(told('option "signal" must be an AbortSignal'), 'option "signal" must be an AbortSignal')
})

/** Wrong options, each with the flag that its message must name. */
const wrong: readonly [object, string][] = [
  [{ adapter: { size: 0 } }, '--adapter-size'],
  [{ adapter: { activation: 'x' } }, '--adapter-activation'],
  [{ adapter: { initialStd: -1 } }, '--adapter-initial-std'],
  [{ adapter: { layers: [] } }, '--adapter-layers'],
  [{ adapter: { size: 4 }, trainable: 'all' }, '--trainable is "all".*--adapter-size is given.*to --trainable'],
  [{ task: 'x' }, '--task'],
  [{ task: { kind: 'classification', labels: ['a'] } }, '--labels'],
  [{ task: { kind: 'classification', labels: ['a', 'b'], positiveLabel: 'c' } }, '--positive-label'],
  [{ task: { kind: 'multilabel', labelSeparator: '' } }, '--label-separator'],
  [{ task: { kind: 'span', stride: 0 } }, '--stride'],
  [{ task: { kind: 'span', maxAnswerTokens: 0 } }, '--max-answer-tokens'],
  [{ head: { pool: 'x' } }, '--pool'],
  [{ dropout: { head: 1 } }, '--dropout \\(head\\)'],
  [{ trainable: { topLayers: 0 } }, '--trainable \\(topLayers\\)'],
  [{ earlyStopping: 1 }, '--early-stopping needs --validation'],
  [{ overwrite: true, resume: true }, '--overwrite and --resume exclude each other'],
  [{ learningRate: 0 }, '--learning-rate'],
  [{ maxLength: 0 }, '--max-length'],
]

for (const [options, flag] of wrong) {
  test(`${flag} is named for ${JSON.stringify(options)}`, (t) => {
    const all = { backbone: 'b', train: 'a.tsv', output: 'o', ...options } as TrainOptions
    const error = t.throws(() => resolveTrainOptions(all), { code: 'ERR_OPTION' })
    t.regex(nameFlags(error?.message ?? '', flags), new RegExp(flag))
    t.notRegex(nameFlags(error?.message ?? '', flags), /option/)
  })
}
