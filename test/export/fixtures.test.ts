/**
 * Every importable fixture, with a task put into its graph, gives in ONNX Runtime what the engine gives. Kinds of tasks,
 * pooling and what is trained take turns. With ONNX_ADAPTERS_PYTHON, onnx.checker judges the files.
 */
import { join } from 'node:path'
import test from 'ava'
import { loadBackbone, loadStructure } from '../../lib/backbone/load.js'
import { OnnxImportError } from '../../lib/errors.js'
import { exportRun } from '../../lib/export/export.js'
import { taskKinds } from '../../lib/kinds.js'
import { run } from '../support/child.js'
import { makeRun, madeTasks, type MadeRun } from '../support/exported.js'
import { temporaryFolder } from '../support/folder.js'
import { fixtures } from '../support/onnx_fixtures.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { lacksRuntime, serialTestUnless } from '../support/unless.js'

const missing = lacksShared(sharedPath('fixtures')) ?? lacksRuntime
const python = process.env['ONNX_ADAPTERS_PYTHON']

const trained: readonly MadeRun[] = [
  {},
  { trainable: { topLayers: 1 } },
  { adapter: { size: 4, layers: [1], activation: 'gelu' } },
  { trainable: ['layerNorm', 'head'] },
  { adapter: { size: 3, activation: 'silu' } },
  { trainable: 'all' },
  { adapter: { size: 5, activation: 'relu' }, trainable: ['adapters', 'head'] },
]

/** Files of ONNX Runtime's optimizer that the checker refuses as they are. */
const unchecked = ['bert-ortsession-extended', 'distilbert-hubera-ortopt', 'bert-int8', 'bert-qdq']

for (const [i, { name, model }] of fixtures().entries()) {
  serialTestUnless(missing, `${name}: exported`, async (t) => {
    const folder = await temporaryFolder(t)
    const backbone = await loadBackbone(model, { verify: false }).catch((error: unknown) => {
      if (error instanceof OnnxImportError) return undefined
      throw error
    })
    if (!backbone) {
      t.pass('the importer refuses it')
      return
    }
    const structure = await loadStructure(model)
    t.deepEqual(structure.imported.anchors, backbone.imported.anchors)
    t.deepEqual(structure.config, backbone.config)
    t.is(structure.sha256, backbone.sha256)
    const pool = i % 3 === 0 && backbone.config.pooler ? 'pooler' : i % 3 === 1 ? 'mean' : 'cls'
    const task = madeTasks[taskKinds[i % taskKinds.length]!]
    // Layers that share tensors in the file were trained apart.
    const made = backbone.config.architecture === 'albert' ? {} : trained[i % trained.length]
    const source = await makeRun(join(folder, 'run'), backbone, { pool, task, ...made })
    const output = join(folder, 'model.onnx')
    const { maxAbsDifference } = await exportRun(source, { to: 'onnx', output, backbone, threads: 1 })
    t.true(maxAbsDifference! <= (backbone.config.weightType === 'f16' ? 2e-2 : 2e-5), String(maxAbsDifference))
    if (python === undefined || unchecked.includes(name)) return
    const check = `import onnx; onnx.checker.check_model(${JSON.stringify(output)}, full_check=True)`
    const { status, stderr } = await run(python, ['-c', check])
    t.is(status, 0, stderr)
  })
}

test('there is something to compare', (t) => {
  t.true(missing !== undefined || fixtures().length > 40)
})
