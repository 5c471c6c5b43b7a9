import type { CaseBuilder } from '../support/cases.js'
import { testOp } from '../support/harness.js'
import { normal } from '../support/random.js'
import { rowShapes, wideRowShapes } from '../support/shapes.js'

const want = ['xhat', 'rstd']

testOp('layer_norm', [
  ...[...rowShapes, ...wideRowShapes].map(({ name, lengths, width }) => ({
    name,
    lengths,
    build: (g: CaseBuilder) =>
      g.node(
        'layer_norm',
        { x: g.tokenRows('x', width), gamma: g.parameter('gamma', [width]), beta: g.parameter('beta', [width]) },
        // A row of one element has variance 0: with a tiny epsilon its gradient would be rounding noise times 1e6.
        { epsilon: width < 4 ? 1e-2 : 1e-12 },
        want,
      ),
    gradients: ['x', 'gamma', 'beta'],
    // A row of one element has the gradient 0: what is left is the rounding of dy·gamma, times rstd.
    absoluteFloor: width === 1 ? 1e-6 : 0,
  })),
  {
    name: 'frozen scale and shift',
    lengths: [4, 3],
    build: (g) =>
      g.node(
        'layer_norm',
        { x: g.tokenRows('x', 60), gamma: g.frozen('gamma', [60]), beta: g.frozen('beta', [60]) },
        { epsilon: 1e-5 },
      ),
    gradients: ['x'],
  },
  {
    name: 'a large mean: variance must not come from a difference of squares',
    lengths: [6],
    build: (g) =>
      g.node(
        'layer_norm',
        {
          x: g.tokenRows('x', 64, normal('large mean', 6 * 64, 1, 300)),
          gamma: g.parameter('gamma', [64]),
          beta: g.parameter('beta', [64]),
        },
        { epsilon: 1e-12 },
        want,
      ),
  },
  {
    name: 'rows of sequences',
    lengths: [3, 0, 2],
    build: (g) =>
      g.node(
        'layer_norm',
        { x: g.sequenceRows('x', 20), gamma: g.parameter('gamma', [20]), beta: g.parameter('beta', [20]) },
        { epsilon: 1e-2 },
        want,
      ),
    gradients: ['x', 'gamma', 'beta'],
  },
  {
    name: 'constant rows give the shift',
    lengths: [2],
    build: (g) =>
      g.node(
        'layer_norm',
        {
          x: g.tokenRows('x', 32, new Float32Array(64).fill(3)),
          gamma: g.parameter('gamma', [32]),
          beta: g.parameter('beta', [32]),
        },
        { epsilon: 1e-5 },
      ),
  },
])
