import type { CaseBuilder } from '../support/cases.js'
import { testOp } from '../support/harness.js'

/** Between f32 and f32, as a CPU has it, it is a copy; in bf16 every case here is one between types. */
testOp(
  'cast',
  [1, 7, 64, 1000].map((width) => ({
    name: `${width} columns`,
    lengths: [3, 2],
    build: (g: CaseBuilder) => g.node('cast', { x: g.tokenRows('x', width) }),
    exact: true,
  })),
)
