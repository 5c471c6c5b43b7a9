import test from 'ava'
import { cutWindows, defaultStride } from '../../../lib/data/tasks/windows.js'
import { Tokenizer } from '../../../lib/data/tokenize.js'
import { tinyTokenizer } from '../../support/folder.js'

const tokenizer = new Tokenizer(tinyTokenizer)
const question = 'the cat'
/** Three special tokens and two of the question. */
const taken = 5

const contextOf = (tokens: number) => tokenizer.tokens('red '.repeat(tokens))
const cut = (tokens: number, maxLength: number, stride: number, text = question) =>
  cutWindows({ text, textPair: 'red', place: { row: 4 } }, contextOf(tokens), tokenizer, maxLength, stride)
const ranges = (windows: ReturnType<typeof cut>) => windows.map(({ first, count }) => [first, first + count])

test('a context that fits is one row, whatever the stride', (t) => {
  for (const tokens of [1, 9, 10]) {
    const [window, ...more] = cut(tokens, taken + 10, 3)
    t.deepEqual(more, [])
    t.deepEqual(window, {
      inputIds: [2, 15, 10, 3, ...new Array<number>(tokens).fill(4), 3],
      tokenTypeIds: [0, 0, 0, 0, ...new Array<number>(tokens + 1).fill(1)],
      truncated: false,
      start: 4,
      first: 0,
      count: tokens,
    })
  }
})

test('windows at every edge', (t) => {
  t.deepEqual(ranges(cut(11, taken + 10, 3)), [[0, 10], [3, 11]]) // prettier-ignore
  t.deepEqual(ranges(cut(13, taken + 10, 3)), [[0, 10], [3, 13]]) // prettier-ignore
  t.deepEqual(ranges(cut(14, taken + 10, 3)), [[0, 10], [3, 13], [6, 14]]) // prettier-ignore
  // Without overlap, where the stride is as long as a window or longer.
  for (const stride of [10, 11, 1000]) t.deepEqual(ranges(cut(21, taken + 10, stride)), [[0, 10], [10, 20], [20, 21]]) // prettier-ignore
  t.deepEqual(ranges(cut(4, taken + 2, 1)), [[0, 2], [1, 3], [2, 4]]) // prettier-ignore
})

test('every token is in a window, and every window but the last is full', (t) => {
  for (let tokens = 1; tokens < 40; tokens++) {
    for (let room = 1; room < 9; room++) {
      for (let stride = 1; stride < 10; stride++) {
        const windows = cut(tokens, taken + room, stride)
        const seen = new Set(windows.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i)))
        t.is(seen.size, tokens)
        t.true(windows.slice(0, -1).every(({ count }) => count === room))
        t.is(windows.at(-1)!.first + windows.at(-1)!.count, tokens)
      }
    }
  }
})

test('the default stride', (t) => {
  t.deepEqual([512, 384, 383, 128, 16, 3, 1].map(defaultStride), [128, 128, 95, 32, 4, 1, 1])
})

test('a question of more than half a row is cut, and counted', (t) => {
  const long = 'cat '.repeat(50)
  const [whole] = cut(5, 100, 8, long)
  t.like(whole, { truncated: false, start: 52, count: 5 })
  const windows = cut(60, 64, 8, long)
  t.true(windows.every(({ truncated, start, inputIds }) => truncated && start === 34 && inputIds.length <= 64))
  t.deepEqual(ranges(windows).slice(0, 2), [[0, 29], [8, 37]]) // prettier-ignore
})

test('no room, a context without words', (t) => {
  const error = t.throws(() => cut(5, 5, 1, 'cat cat cat'), {
    code: 'ERR_DATA_LENGTH',
    message: /^row 4: a row of at most 5 .*: the maximum length must be at least 7 for it$/,
  })
  t.like(error, { details: { row: 4, maxLength: 5, expected: 7 } })
  t.is(cut(5, 7, 1, 'cat cat cat').length, 5)
  t.throws(() => cut(5, 4, 1, 'cat'), { message: /at least 5 for it/ })
  t.is(cut(5, 5, 1, 'cat').length, 5)
  t.throws(() => cut(5, 3, 1, ''), { code: 'ERR_DATA_LENGTH' })
  t.throws(() => cut(0, 64, 8), { code: 'ERR_DATA_ROW', message: /^row 4: the context has no words/ })
})
