/** Files that say the same in other words are exported too: a task goes into each mutation of our own golden files. */
import { readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { loadBackbone } from '../../lib/backbone/load.js'
import { exportRun } from '../../lib/export/export.js'
import { decodeModel } from '../../lib/onnx/read.js'
import { writeModel } from '../../lib/onnx/write.js'
import { makeRun } from '../support/exported.js'
import { temporaryFolder } from '../support/folder.js'
import { goldenBackbone } from '../support/golden.js'
import { mutate, mutations, stackOf } from '../support/mutate/index.js'
import { lacksRuntime, serialTestUnless } from '../support/unless.js'

for (const exporter of ['eager', 'sdpa'] as const) {
  const file = join(goldenBackbone(exporter), 'model.onnx')
  const plain = decodeModel(readFileSync(file), file)
  const stacks = Array.from({ length: 6 }, (_, i) => ({ name: `stack ${i}`, chosen: stackOf(i + 1, 3), seed: i + 1 }))
  const single = mutations.map((one) => ({ name: one.name, chosen: [one], seed: 1 }))
  for (const { name, chosen, seed } of [...single, ...stacks]) {
    const { model, count } = mutate(plain, chosen, seed)
    if (count === 0) continue
    serialTestUnless(lacksRuntime, `the golden ${exporter} export after ${name}: exported`, async (t) => {
      const folder = await temporaryFolder(t)
      await cp(dirname(file), join(folder, 'backbone'), { recursive: true })
      await writeModel(model, join(folder, 'backbone', 'model.onnx'))
      const backbone = await loadBackbone(join(folder, 'backbone'), { verify: false })
      const run = await makeRun(join(folder, 'run'), backbone, { pool: 'mean' })
      const output = join(folder, 'model.onnx')
      const { maxAbsDifference } = await exportRun(run, { to: 'onnx', output, backbone, threads: 1 })
      t.true(maxAbsDifference! <= 2e-5, String(maxAbsDifference))
    })
  }
}
