import { inputs } from '../../lib/ir/graph.js'
import type { CaseBuilder, OpCase } from '../support/cases.js'
import { testOp } from '../support/harness.js'
import { normal } from '../support/random.js'
import { batchName, batches, dropoutStreams, noDropout } from '../support/shapes.js'

interface Heads {
  readonly heads: number
  readonly width: number
}

function node(g: CaseBuilder, { heads, width }: Heads, stream: { dropout: number; rng: number }, qkv?: Float32Array) {
  const x = g.tokenRows('qkv', 3 * heads * width, qkv)
  const attributes = { heads, scale: 1 / Math.sqrt(width), max_length: 128, ...stream }
  return g.node('attention', { qkv: x, cu: inputs.cu }, attributes, ['lse'])
}

function attentionCase(
  lengths: readonly number[],
  heads: Heads,
  stream: { dropout: number; rng: number } = noDropout,
): OpCase {
  const dropout = stream.dropout > 0 ? `, dropout ${stream.dropout}` : ''
  return {
    name: `${batchName(lengths)}, ${heads.heads} heads of ${heads.width}${dropout}`,
    lengths,
    build: (g) => node(g, heads, stream),
    gradients: ['qkv'],
    scalars: { step: 3, seed: 0xfeed_0000_0001n },
    // Exponentials of scores are stated to about 2 units in the last place each.
    absoluteFloor: 1e-6,
  }
}

testOp('attention', [
  ...batches.map((lengths) => attentionCase(lengths, { heads: 2, width: 20 })),
  attentionCase([5, 9], { heads: 1, width: 1 }),
  attentionCase([5, 9], { heads: 3, width: 7 }),
  attentionCase([16, 15, 17], { heads: 4, width: 8 }),
  attentionCase([33, 2], { heads: 2, width: 32 }),
  attentionCase([11], { heads: 1, width: 64 }),
  attentionCase([63, 64, 65], { heads: 1, width: 16 }),
  ...dropoutStreams.flatMap((stream) => [
    attentionCase([6, 0, 19], { heads: 2, width: 20 }, stream),
    attentionCase([33, 1], { heads: 3, width: 8 }, stream),
  ]),
  {
    name: 'scores of a hundred do not overflow',
    lengths: [9, 3],
    build: (g) => node(g, { heads: 1, width: 16 }, noDropout, normal('large scores', 12 * 48, 6)),
    absoluteFloor: 2e-5,
  },
])
