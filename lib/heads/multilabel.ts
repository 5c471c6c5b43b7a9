import { bce } from '../ops/bce.js'
import type { HeadDef } from './define.js'

/** Each of K labels on or off per sequence; labels f32[B,K] of 0 and 1. */
export const multilabel: HeadDef = {
  kind: 'multilabel',
  perToken: false,
  labels: (outputs) => ({ dtype: 'f32', shape: ['B', outputs] }),
  loss: bce,
  operands: (logits, labels) => ({ logits, labels }),
}
