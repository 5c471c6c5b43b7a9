/** Every encoder fixture through the public door: the hidden states of PyTorch, or an error that says why not. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { loadBackbone } from '../../lib/index.js'
import { maxDifference } from '../support/budget.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

interface Batch {
  readonly name: string
  readonly padding: string
  readonly input_ids: number[][]
  readonly attention_mask?: number[][]
  readonly token_type_ids?: number[][]
  readonly last_hidden_state?: number[][][]
  readonly positions?: number[]
  readonly last_hidden_state_at_positions?: number[][][] | number[][]
}

interface FixtureGolden {
  readonly expectation: 'import' | 'reject' | 'import-or-reject'
  readonly tolerance: number
  readonly batches: readonly Batch[]
}

const folder = sharedPath('fixtures')
const names = folder ? readdirSync(folder).filter((name) => existsSync(join(folder, name, 'golden.json'))) : []

if (names.length === 0) testUnless(lacksShared(folder), 'hidden states of every fixture', (t) => t.fail('no fixtures'))

for (const name of names) {
  const golden = JSON.parse(readFileSync(join(folder!, name, 'golden.json'), 'utf8')) as FixtureGolden
  test(`${name}: ${golden.expectation}`, async (t) => {
    const encoder = await loadBackbone(join(folder!, name), { verify: false }).then(
      (backbone) => backbone.encoder({ device: 'cpu', threads: 1 }),
      (error: { code?: string }) => {
        t.not(golden.expectation, 'import', String(error))
        t.regex(error.code ?? '', /^ERR_ONNX_/)
        return undefined
      },
    )
    if (!encoder) return
    t.not(golden.expectation, 'reject')
    const batches = golden.batches.filter(({ padding }) => padding === 'none' || padding === 'right')
    t.true(batches.length > 0)
    for (const batch of batches) {
      const difference = await largestDifference(encoder, batch)
      t.true(difference <= golden.tolerance, `batch ${batch.name}: ${difference} above ${golden.tolerance}`)
    }
    await encoder.dispose()
  })
}

type Encoder = Awaited<ReturnType<Awaited<ReturnType<typeof loadBackbone>>['encoder']>>

/** Over the real positions. */
async function largestDifference(encoder: Encoder, batch: Batch): Promise<number> {
  const lengths = batch.input_ids.map(
    (ids, row) => batch.attention_mask?.[row]?.reduce((a, b) => a + b, 0) ?? ids.length,
  )
  const cut = (rows: number[][]) => rows.map((row, i) => row.slice(0, lengths[i]))
  const rows = await encoder.encode({
    inputIds: cut(batch.input_ids),
    ...(batch.token_type_ids && { tokenTypeIds: cut(batch.token_type_ids) }),
  })
  const differences = rows.map((row, i) => {
    const width = row.length / lengths[i]!
    const positions = batch.positions ?? Array.from({ length: lengths[i]! }, (_, t) => t)
    const want = (batch.last_hidden_state?.[i] ?? positionsOf(batch, i)).slice(0, positions.length).flat()
    return maxDifference(
      positions.flatMap((t) => [...row.subarray(t * width, (t + 1) * width)]),
      want,
    )
  })
  return Math.max(...differences)
}

/** The stored rows of one sequence; a batch of one may leave the batch axis out. */
function positionsOf(batch: Batch, row: number): number[][] {
  const stored = batch.last_hidden_state_at_positions!
  return typeof stored[0]![0] === 'number' ? (stored as number[][]) : (stored as number[][][])[row]!
}
