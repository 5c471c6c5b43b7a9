import test from 'ava'
import type { CaseBuilder } from '../support/cases.js'
import { testOp } from '../support/harness.js'
import { dropoutScale, philox4x32 } from '../support/reference/philox.js'
import { dropoutStreams, noDropout, pointwiseShapes } from '../support/shapes.js'

test('Philox4x32-10 gives the published answers', (t) => {
  const all = 0xffffffff
  const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const
  t.deepEqual(philox4x32([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])
  t.deepEqual(philox4x32([all, all, all, all], [all, all]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd])
  t.deepEqual(philox4x32(pi, [0xa4093822, 0x299f31d0]), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1])
})

for (const p of [0.1, 0.5]) {
  test(`dropout ${p} drops that share`, (t) => {
    const dropout = { p, rng: 5, scalars: { learningRate: 0, step: 2, seed: 77n }, stream: 0 }
    const count = 20_000
    let dropped = 0
    for (let i = 0; i < count; i++) if (dropoutScale(dropout, i) === 0) dropped++
    const deviation = Math.sqrt((p * (1 - p)) / count)
    t.true(Math.abs(dropped / count - p) < 4 * deviation, `${dropped} of ${count}`)
  })
}

testOp('dropout', [
  ...[noDropout, ...dropoutStreams].flatMap((stream) =>
    pointwiseShapes.map(({ name, lengths, width }) => ({
      name: `p ${stream.dropout}, ${name}`,
      lengths,
      build: (g: CaseBuilder) => g.node('dropout', { x: g.tokenRows('x', width) }, stream),
      gradients: ['x'],
      scalars: { step: 1_000_003, seed: 0xffff_ffff_ffff_fffen },
    })),
  ),
  {
    name: 'rows of sequences',
    lengths: [4, 2, 0, 3],
    build: (g) => g.node('dropout', { x: g.sequenceRows('x', 60) }, dropoutStreams[1]),
    gradients: ['x'],
  },
])
