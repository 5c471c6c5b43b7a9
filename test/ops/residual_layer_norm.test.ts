import type { CaseBuilder } from '../support/cases.js'
import { testOp } from '../support/harness.js'
import { dropoutStreams, noDropout, rowShapes, wideRowShapes } from '../support/shapes.js'

function node(g: CaseBuilder, width: number, stream: { dropout: number; rng: number }) {
  const operands = {
    x: g.tokenRows('x', width),
    residual: g.tokenRows('residual', width),
    gamma: g.parameter('gamma', [width]),
    beta: g.parameter('beta', [width]),
  }
  return g.node('residual_layer_norm', operands, { epsilon: width < 4 ? 1e-2 : 1e-12, ...stream }, ['xhat', 'rstd'])
}

const all = ['x', 'residual', 'gamma', 'beta']

testOp('residual_layer_norm', [
  ...[...rowShapes, ...wideRowShapes].map(({ name, lengths, width }) => ({
    name,
    lengths,
    build: (g: CaseBuilder) => node(g, width, noDropout),
    gradients: all,
  })),
  ...dropoutStreams.flatMap((stream) =>
    [60, 64, 15, 1028].map((width) => ({
      name: `dropout ${stream.dropout}, width ${width}`,
      lengths: [5, 0, 9],
      build: (g: CaseBuilder) => node(g, width, stream),
      gradients: all,
      scalars: { step: 7, seed: 0x1234_5678_9abc_def0n },
    })),
  ),
  {
    name: 'only the residual asks',
    lengths: [3, 2],
    build: (g) => node(g, 20, dropoutStreams[1]),
    gradients: ['residual'],
  },
  { name: 'only x asks', lengths: [3, 2], build: (g) => node(g, 20, dropoutStreams[1]), gradients: ['x'] },
  { name: 'only the scale asks', lengths: [3, 2], build: (g) => node(g, 20, noDropout), gradients: ['gamma'] },
])
