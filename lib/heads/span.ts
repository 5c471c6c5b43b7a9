import { inputs } from '../ir/graph.js'
import { span as spanLoss } from '../ops/span.js'
import type { HeadDef } from './define.js'

/** Start and end of an answer within the sequence; labels i32[B,2], token positions in the row. */
export const span: HeadDef = {
  kind: 'span',
  perToken: true,
  outputs: 2,
  labels: () => ({ dtype: 'i32', shape: ['B', 2] }),
  loss: spanLoss,
  operands: (logits, labels) => ({ logits, labels, cu: inputs.cu }),
}
