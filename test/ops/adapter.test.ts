import { activations } from '../../lib/ops/define.js'
import type { CaseBuilder, OpCase } from '../support/cases.js'
import { testOp } from '../support/harness.js'
import { normal } from '../support/random.js'
import { dropoutStreams, noDropout } from '../support/shapes.js'

interface Options {
  readonly lengths?: readonly number[]
  readonly width: number
  readonly bottleneck: number
  readonly activation?: string
  readonly stream?: { dropout: number; rng: number }
  readonly frozen?: boolean
}

const operands = ['x', 'residual', 'down_w', 'down_b', 'up_w', 'up_b', 'gamma', 'beta']

function node(g: CaseBuilder, options: Options) {
  const { width, bottleneck, activation = 'gelu_tanh', stream = noDropout, frozen = false } = options
  const weight = (name: string, shape: readonly number[], deviation: number, mean = 0) => {
    const data = normal(
      `${g.caseName}/${name}`,
      shape.reduce((a, b) => a * b, 1),
      deviation,
      mean,
    )
    return frozen ? g.frozen(name, shape, data) : g.parameter(name, shape, data)
  }
  const values = {
    x: g.tokenRows('x', width),
    residual: g.tokenRows('residual', width),
    down_w: weight('down_w', [bottleneck, width], 1 / Math.sqrt(width)),
    down_b: weight('down_b', [bottleneck], 0.5),
    up_w: weight('up_w', [width, bottleneck], 1 / Math.sqrt(bottleneck)),
    up_b: weight('up_b', [width], 0.5),
    gamma: weight('gamma', [width], 0.2, 1),
    beta: weight('beta', [width], 0.2),
  }
  return g.node('adapter', values, { activation, epsilon: 1e-5, ...stream }, ['xhat', 'rstd', 'z'])
}

function adapterCase(name: string, options: Options, gradients: readonly string[] = operands): OpCase {
  return {
    name,
    lengths: options.lengths ?? [3, 0, 8],
    build: (g) => node(g, options),
    gradients,
    scalars: { step: 11, seed: 99n },
    absoluteFloor: 4e-6,
  }
}

testOp('adapter', [
  ...[1, 7, 8, 15, 16, 17, 64, 65].map((bottleneck) =>
    adapterCase(`bottleneck ${bottleneck}`, { width: 60, bottleneck }),
  ),
  ...[4, 31, 32, 33, 64, 128].map((width) => adapterCase(`width ${width}`, { width, bottleneck: 8 })),
  ...activations.map((activation) => adapterCase(`activation ${activation}`, { width: 24, bottleneck: 8, activation })),
  ...[[1], [13], [64, 1], [65, 0, 2]].map((lengths) =>
    adapterCase(`lengths ${lengths.join('+')}`, { lengths, width: 20, bottleneck: 8 }),
  ),
  ...dropoutStreams.flatMap((stream) => [
    adapterCase(`dropout ${stream.dropout}`, { width: 60, bottleneck: 8, stream }),
    adapterCase(`dropout ${stream.dropout}, width 33`, { width: 33, bottleneck: 5, stream, lengths: [70] }),
  ]),
  // Wider than what a GPU takes in one kernel, in bottleneck or in columns, and so many rows that a block sums several.
  ...[33, 60].map((width) =>
    adapterCase(`bottleneck 66, width ${width}, dropout`, { width, bottleneck: 66, stream: dropoutStreams[0] }),
  ),
  ...[388, 770, 1024, 1028].map((width) =>
    adapterCase(`width ${width}`, { width, bottleneck: 6, stream: dropoutStreams[0], lengths: [1, 17] }),
  ),
  adapterCase('many rows', { width: 12, bottleneck: 4, lengths: [2060] }),
  adapterCase('frozen, as another task sees it', { width: 32, bottleneck: 8, frozen: true }, ['x', 'residual']),
  adapterCase('only the residual asks', { width: 32, bottleneck: 8 }, ['residual']),
  adapterCase('nothing below asks', { width: 32, bottleneck: 8 }, operands.slice(2)),
  adapterCase('only the shift asks', { width: 32, bottleneck: 8 }, ['beta']),
])
