import { inputs } from '../../lib/ir/graph.js'
import type { OpCase } from '../support/cases.js'
import { testOp } from '../support/harness.js'
import { integers } from '../support/random.js'
import { batchName, batches } from '../support/shapes.js'

const vocabulary = 11
const positions = 70

function embeddingCase(
  lengths: readonly number[],
  width: number,
  tables: { types: boolean; segments: number; offset: number },
): OpCase {
  const name = `${batchName(lengths)}, width ${width}, ${tables.types ? 'types' : 'no types'}, offset ${tables.offset}`
  return {
    name,
    lengths,
    build(g) {
      const ids = integers(`${name}/ids`, g.tokens, 0, vocabulary - 1)
      const types = tables.types ? integers(`${name}/types`, g.tokens, 0, tables.segments - 1) : undefined
      g.batch(ids, vocabulary, types)
      return g.node(
        'embedding',
        {
          ids: inputs.ids,
          types: types && inputs.types,
          cu: inputs.cu,
          word: g.parameter('word', [vocabulary, width]),
          position: g.parameter('position', [positions, width]),
          token_type: g.parameter('token_type', [tables.segments, width]),
        },
        { position_offset: tables.offset },
      )
    },
    gradients: ['word', 'position', 'token_type'],
  }
}

testOp('embedding', [
  ...batches.map((lengths) => embeddingCase(lengths, 20, { types: true, segments: 2, offset: 0 })),
  embeddingCase([5, 2], 1, { types: true, segments: 2, offset: 0 }),
  embeddingCase([5, 2], 60, { types: false, segments: 1, offset: 2 }),
  embeddingCase([17, 1], 33, { types: false, segments: 2, offset: 0 }),
  {
    name: 'frozen tables, every token the same',
    lengths: [9, 3],
    build(g) {
      g.batch(new Int32Array(g.tokens).fill(2), 3)
      const tables = { word: g.frozen('word', [3, 64]), position: g.frozen('position', [9, 64]) }
      return g.node('embedding', { ids: inputs.ids, cu: inputs.cu, ...tables }, { position_offset: 0 })
    },
  },
  {
    name: 'a common token among rare ones: one row sums many',
    lengths: [40, 60],
    build(g) {
      const ids = integers('common/ids', g.tokens, 0, 99).map((id) => (id < 70 ? 5 : id))
      g.batch(ids, 100)
      return g.node(
        'embedding',
        { ids: inputs.ids, cu: inputs.cu, word: g.parameter('word', [100, 24]) },
        { position_offset: 0 },
      )
    },
    gradients: ['word'],
  },
])
