import type { TextTokens } from '../tokenizer/offsets.js'
import type { Window } from './windows.js'

/** What the head gave for a window: f32[length · 2], for each token the logits of a start and of an end. */
export interface WindowOutput {
  readonly window: Window
  readonly output: Float32Array
}

export interface BestSpan {
  /** First and last token of the context; absent where no answer is the likeliest answer. */
  readonly tokens?: readonly [first: number, last: number]
  /** Its probability among all answers that are allowed, 0 to 1. */
  readonly score: number
}

/**
 * The likeliest answer over all windows of a context: the tokens start ≤ end with the largest sum of the start's and the
 * end's logits (Devlin et al. 2019 §4.2), both in one window and in the context. A span that several windows hold counts
 * once, with its largest sum. The score is a softmax over the sums of all spans.
 * @param maxTokens tokens an answer may have
 * @param unanswerable true where the answer may be that there is none: its sum is that of the first token, the smallest
 * over the windows, for each may lack the answer while another has it (Devlin et al. 2019 §4.3)
 */
export function findSpan(
  context: TextTokens,
  outputs: readonly WindowOutput[],
  maxTokens: number,
  unanswerable: boolean,
): BestSpan {
  const tokens = context.ids.length
  const sums = new Float64Array(tokens * maxTokens).fill(-Infinity)
  for (const each of outputs) addSums(sums, each, maxTokens, context)
  let best = -1
  let most = unanswerable ? Math.min(...outputs.map(({ output }) => output[0]! + output[1]!)) : -Infinity
  const none = most
  for (let i = 0; i < sums.length; i++) {
    if (sums[i]! <= most) continue
    most = sums[i]!
    best = i
  }
  if (most === -Infinity) return { score: 0 }
  let total = Math.exp(none - most)
  for (const sum of sums) if (sum !== -Infinity) total += Math.exp(sum - most)
  const score = 1 / total
  if (best < 0) return { score }
  const first = Math.floor(best / maxTokens)
  return { tokens: [first, first + (best % maxTokens)], score }
}

/** Puts in the largest sum of each span [first token, length - 1]. */
function addSums(
  sums: Float64Array,
  { window, output }: WindowOutput,
  maxTokens: number,
  { starts, ends }: TextTokens,
): void {
  const { start, first, count } = window
  const isEmpty = (token: number) => starts[token] === ends[token]
  for (let i = 0; i < count; i++) {
    // A token that stands for nothing, as the space before a word may, neither begins nor ends an answer.
    if (isEmpty(first + i)) continue
    const from = output[2 * (start + i)]!
    const limit = Math.min(maxTokens, count - i)
    for (let length = 0; length < limit; length++) {
      if (isEmpty(first + i + length)) continue
      const at = (first + i) * maxTokens + length
      const sum = from + output[2 * (start + i + length) + 1]!
      if (sum > sums[at]!) sums[at] = sum
    }
  }
}
