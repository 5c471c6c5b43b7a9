import { crossEntropy } from '../ops/cross_entropy.js'
import type { HeadDef } from './define.js'

/** One of K classes per token; labels i32[T], -100 where a token does not count. The mean is over the whole batch. */
export const token: HeadDef = {
  kind: 'token',
  perToken: true,
  labels: () => ({ dtype: 'i32', shape: ['T'] }),
  loss: crossEntropy,
  operands: (logits, labels) => ({ logits, labels }),
}
