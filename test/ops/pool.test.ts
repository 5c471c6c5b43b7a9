import { inputs } from '../../lib/ir/graph.js'
import { testOp } from '../support/harness.js'
import { batchName, batches } from '../support/shapes.js'

testOp(
  'pool',
  ['cls', 'mean'].flatMap((mode) =>
    batches.flatMap((lengths) =>
      [20, 33].map((width) => ({
        name: `${mode}, ${batchName(lengths)}, width ${width}`,
        lengths,
        build: (g) => g.node('pool', { x: g.tokenRows('x', width), cu: inputs.cu }, { mode }),
        gradients: ['x'],
      })),
    ),
  ),
)
