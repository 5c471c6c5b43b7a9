import test from 'ava'
import { findSpan, type WindowOutput } from '../../../lib/data/tasks/best_span.js'
import { uniform } from '../../support/random.js'

/** A context of words of one character, some of which may stand for nothing. */
const contextOf = (tokens: number, empty: readonly number[] = []) => ({
  ids: new Array<number>(tokens).fill(1),
  starts: Array.from({ length: tokens }, (_, i) => 2 * i),
  ends: Array.from({ length: tokens }, (_, i) => 2 * i + Number(!empty.includes(i))),
})

/** A row [CLS] question [SEP] context [SEP] with logits by its position. */
function windowOf(first: number, count: number, logits: (position: number) => readonly [number, number]): WindowOutput {
  const length = count + 4
  const zeros = new Array<number>(length).fill(0)
  const window = { inputIds: zeros, tokenTypeIds: zeros, truncated: false, start: 3, first, count }
  return { window, output: Float32Array.from(zeros.flatMap((_, i) => logits(i))) }
}

const near = (a: number, b: number) => Math.abs(a - b) < 1e-6

test('the start comes before the end, within the context', (t) => {
  // The largest logits are at the special tokens, then an end before the start.
  const starts = [9, 9, 9, 0, 1, 5, 0, 9]
  const ends = [9, 9, 9, 6, 0, 1, 2, 9]
  const output = windowOf(0, 4, (i) => [starts[i]!, ends[i]!])
  const { tokens, score } = findSpan(contextOf(4), [output], 30, false)
  t.deepEqual(tokens, [2, 3])
  const sums = [6, 0, 1, 2, 1, 2, 3, 6, 7, 2]
  t.true(near(score, Math.exp(7) / sums.reduce((sum, x) => sum + Math.exp(x), 0)))
})

test('one token, the first one and the last one', (t) => {
  for (const token of [0, 3]) {
    const output = windowOf(0, 4, (i) => (i === 3 + token ? [4, 4] : [0, 0]))
    t.deepEqual(findSpan(contextOf(4), [output], 30, false).tokens, [token, token])
  }
  const whole = windowOf(0, 4, (i) => [Number(i === 3), Number(i === 6)])
  t.deepEqual(findSpan(contextOf(4), [whole], 4, false).tokens, [0, 3])
  t.notDeepEqual(findSpan(contextOf(4), [whole], 3, false).tokens, [0, 3])
})

test('tokens that stand for nothing are no ends of an answer', (t) => {
  const output = windowOf(0, 4, (i) => (i === 3 ? [9, 0] : i === 6 ? [0, 9] : [0, 0]))
  t.deepEqual(findSpan(contextOf(4), [output], 30, false).tokens, [0, 3])
  t.deepEqual(findSpan(contextOf(4, [0, 3]), [output], 30, false).tokens, [1, 1])
  t.deepEqual(findSpan(contextOf(2, [0, 1]), [windowOf(0, 2, () => [1, 1])], 30, false), { score: 0 })
})

test('no answer, where that may be', (t) => {
  const output = (none: number, best: number) => windowOf(0, 1, (i) => (i === 0 ? [none, 0] : [best, 0]))
  const ask = (outputs: WindowOutput[], unanswerable = true) => findSpan(contextOf(1), outputs, 30, unanswerable)
  t.is(ask([output(2, 1)]).tokens, undefined)
  t.true(near(ask([output(2, 1)]).score, 1 / (1 + Math.exp(-1))))
  t.deepEqual(ask([output(2, 1)], false), { tokens: [0, 0], score: 1 })
  t.deepEqual(ask([output(1, 2)]).tokens, [0, 0])
  t.true(near(ask([output(1, 2)]).score, 1 / (1 + Math.exp(-1))))
  // A window may well lack the answer that another one has.
  t.deepEqual(ask([output(9, 0), output(1, 2)]).tokens, [0, 0])
  t.is(ask([output(9, 0), output(3, 2)]).tokens, undefined)
})

test('many windows, as a search of all spans finds it', (t) => {
  const next = uniform(5)
  for (let round = 0; round < 200; round++) {
    const tokens = 1 + Math.floor(next() * 12)
    const room = 1 + Math.floor(next() * 6)
    const most = 1 + Math.floor(next() * 5)
    const outputs: WindowOutput[] = []
    for (let first = 0; ; first += Math.max(1, room - 2)) {
      const count = Math.min(room, tokens - first)
      const draw = Array.from({ length: count + 4 }, () => [4 * next(), 4 * next()] as const)
      outputs.push(windowOf(first, count, (i) => draw[i]!))
      if (first + count === tokens) break
    }
    const sums = new Map<string, number>()
    for (const { window, output } of outputs) {
      for (let i = 0; i < window.count; i++) {
        for (let j = i; j < window.count && j < i + most; j++) {
          const key = `${window.first + i} ${window.first + j}`
          const sum = output[2 * (3 + i)]! + output[2 * (3 + j) + 1]!
          sums.set(key, Math.max(sums.get(key) ?? -Infinity, sum))
        }
      }
    }
    const [best, sum] = [...sums].reduce((a, b) => (b[1] > a[1] ? b : a))
    const found = findSpan(contextOf(tokens), outputs, most, false)
    t.is(found.tokens!.join(' '), best)
    const total = [...sums.values()].reduce((all, each) => all + Math.exp(each), 0)
    t.true(near(found.score, Math.exp(sum) / total))
  }
})
