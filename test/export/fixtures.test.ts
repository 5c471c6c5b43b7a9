/** Every importable fixture, with a task put into its graph, gives in ONNX Runtime what the engine gives. */
import { join } from 'node:path'
import test from 'ava'
import { loadBackbone } from '../../lib/backbone/load.js'
import { OnnxImportError } from '../../lib/errors.js'
import { exportRun } from '../../lib/export/export.js'
import { makeRun, madeTasks } from '../support/exported.js'
import { temporaryFolder } from '../support/folder.js'
import { fixtures } from '../support/onnx_fixtures.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { lacksRuntime, testUnless } from '../support/unless.js'

const missing = lacksShared(sharedPath('fixtures')) ?? lacksRuntime

for (const { name, model } of fixtures()) {
  testUnless(missing, `${name}: exported`, async (t) => {
    const folder = await temporaryFolder(t)
    const backbone = await loadBackbone(model, { verify: false }).catch((error: unknown) => error)
    if (backbone instanceof OnnxImportError) {
      t.pass()
      return
    }
    if (backbone instanceof Error) throw backbone
    const loaded = backbone as Awaited<ReturnType<typeof loadBackbone>>
    const pools = ['cls', 'mean', ...(loaded.config.pooler ? ['pooler'] : [])] as const
    for (const pool of pools) {
      const run = await makeRun(join(folder, pool), loaded, { pool: pool as 'cls', task: madeTasks.classification })
      const output = join(folder, `${pool}.onnx`)
      const { maxAbsDifference } = await exportRun(run, { to: 'onnx', output, backbone: loaded })
      t.log(pool, maxAbsDifference)
      t.true(maxAbsDifference! <= (loaded.config.weightType === 'f16' ? 2e-2 : 2e-5))
    }
  })
}

test('there is something to compare', (t) => {
  t.true(missing !== undefined || fixtures().length > 40)
})
