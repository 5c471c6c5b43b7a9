import { crossEntropy } from '../ops/cross_entropy.js'
import type { HeadDef } from './define.js'

/** One of K classes per sequence; labels i32[B]. */
export const classification: HeadDef = {
  kind: 'classification',
  perToken: false,
  labels: () => ({ dtype: 'i32', shape: ['B'] }),
  loss: crossEntropy,
  operands: (logits, labels) => ({ logits, labels }),
}
