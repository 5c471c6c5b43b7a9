import test from 'ava'
import { OptionError } from '../lib/errors.js'
import { checkChoice, checkKeys, checkNumber, show, suggest, wrongOption } from '../lib/options.js'

const known = ['batchSize', 'learningRate', 'epochs', 'weightDecay', 'seed', 'adapter']

test('a misspelt name finds the right one', (t) => {
  t.is(suggest('batchsize', known), 'batchSize')
  t.is(suggest('learning_rate', known), 'learningRate')
  t.is(suggest('epoch', known), 'epochs')
  t.is(suggest('wieghtDecay', known), 'weightDecay')
  t.is(suggest('sede', known), 'seed')
  t.is(suggest('nothing', known), undefined)
  t.is(suggest('x', known), undefined)
  t.is(suggest('positive', ['positiveLabel']), 'positiveLabel')
})

test('no name is suggested for a very short one, or for one that is far off', (t) => {
  t.is(suggest('a', ['b']), undefined)
  t.is(suggest('no', ['yes', 'on']), undefined)
  t.is(suggest('abc', ['ab']), undefined, 'short itself')
  t.is(suggest('NO', ['no', 'yes']), 'no', 'the same but for its case')
  t.is(suggest('maybe', ['may', 'baby']), undefined)
  t.is(suggest('----', known), undefined)
})

test('an unknown key is refused with the name that was meant', (t) => {
  const error = t.throws(() => checkKeys('train', { batchsize: 1 }, known), {
    code: 'ERR_OPTION',
    message: /"batchsize"; did you mean "batchSize"\?/,
  })
  t.like(error, { details: { option: 'batchsize', suggestion: 'batchSize' } })
  t.notThrows(() => checkKeys('train', { batchSize: 1 }, known))
})

test('an unknown key among a few is told all of them', (t) => {
  const places = ['hidden', 'attention', 'head']
  t.throws(() => checkKeys('dropout', { foo: 1 }, places), {
    message: 'dropout: unknown option "foo"; expected hidden, attention, head',
  })
  t.throws(() => checkKeys('dropout', { hiden: 1 }, places), {
    message: 'dropout: unknown option "hiden"; did you mean "hidden"? Expected hidden, attention, head',
  })
  const many = Array.from({ length: 20 }, (_, i) => `option${i}`)
  t.throws(() => checkKeys('train', { foo: 1 }, many), { message: 'train: unknown option "foo"' })
})

test('a list is told with its length', (t) => {
  t.is(show([]), 'an empty list')
  t.is(show(['a']), 'a list of one')
  t.is(show([1, 2]), 'a list of 2')
  t.is(wrongOption('sizes', 'a list of at least one size', []).message.split(' not ')[1], 'an empty list')
})

test('what is no object of options is refused before its keys', (t) => {
  for (const value of [null, undefined, true, 3, 'seed', [], () => 1]) {
    const error = t.throws(() => checkKeys('adapter', value as never, known), {
      instanceOf: OptionError,
      code: 'ERR_OPTION',
      message: /^adapter: expected an object, got /,
    })
    t.is(error.details['option'], 'adapter')
  }
  t.notThrows(() => checkKeys('adapter', {}, known))
  t.notThrows(() => checkKeys('adapter', Object.create(null) as object, known))
})

test('numbers outside their range', (t) => {
  const range = { least: 1, integer: true }
  t.is(checkNumber('n', 3, range), 3)
  for (const value of [0, 1.5, NaN, Infinity, '3', undefined, null])
    t.throws(() => checkNumber('n', value, range), { code: 'ERR_OPTION' })
  t.throws(() => checkNumber('n', 0, { above: 0 }), { message: 'option "n" must be a number above 0, not 0' })
  t.throws(() => checkNumber('n', 1, { least: 0, below: 1 }), { code: 'ERR_OPTION' })
  t.is(checkNumber('n', 0, { least: 0, below: 1 }), 0)
})

test('a value that is none of the choices', (t) => {
  t.is(checkChoice('pool', 'cls', ['cls', 'mean']), 'cls')
  t.throws(() => checkChoice('pool', 'meen', ['cls', 'mean']), {
    message: /one of cls, mean, not "meen"; did you mean "mean"\?/,
  })
  t.throws(() => checkChoice('pool', undefined, ['cls', 'mean']), { code: 'ERR_OPTION' })
})
