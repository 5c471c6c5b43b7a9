import { mse } from '../ops/mse.js'
import type { HeadDef } from './define.js'

/** One number per sequence; labels f32[B]. */
export const regression: HeadDef = {
  kind: 'regression',
  perToken: false,
  outputs: 1,
  labels: () => ({ dtype: 'f32', shape: ['B'] }),
  loss: mse,
  operands: (prediction, labels) => ({ prediction, labels }),
}
