/** all-MiniLM-L6-v2, a real backbone, against PyTorch in float64. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadBackbone } from '../../lib/index.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

interface Batch {
  readonly name: string
  readonly input_ids: number[][]
  readonly attention_mask: number[][]
  readonly token_type_ids: number[][]
  readonly last_hidden_state_head8: number[][][]
}

const tolerance = 2e-5
const folder = sharedPath('models', 'all-MiniLM-L6-v2')

testUnless(lacksShared(folder), 'the first features of every real position', async (t) => {
  const { batches } = JSON.parse(readFileSync(join(folder!, 'golden.json'), 'utf8')) as { batches: Batch[] }
  const backbone = await loadBackbone(folder!, { verify: false })
  const encoder = await backbone.encoder({ device: 'cpu', threads: 1 })
  for (const batch of batches) {
    const lengths = batch.attention_mask.map((mask) => mask.reduce((a, b) => a + b, 0))
    const cut = (rows: number[][]) => rows.map((row, i) => row.slice(0, lengths[i]))
    const rows = await encoder.encode({ inputIds: cut(batch.input_ids), tokenTypeIds: cut(batch.token_type_ids) })
    rows.forEach((row, i) => {
      const width = row.length / lengths[i]!
      t.is(width, 384)
      let difference = 0
      for (let p = 0; p < lengths[i]!; p++) {
        batch.last_hidden_state_head8[i]![p]!.forEach((want, c) => {
          difference = Math.max(difference, Math.abs(row[p * width + c]! - want))
        })
      }
      t.true(difference <= tolerance, `batch ${batch.name}, row ${i}: ${difference}`)
    })
  }
  await encoder.dispose()
})
