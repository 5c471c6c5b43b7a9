/** Exports of folders: what another run has left goes, and the backbone's own folder is no place for one. */
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { loadBackbone } from '../../lib/backbone/load.js'
import { exportRun } from '../../lib/export/export.js'
import { makeRun } from '../support/exported.js'
import { temporaryFolder, tinyBackbone } from '../support/folder.js'

async function prepare(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  const backbone = await loadBackbone(await tinyBackbone(join(folder, 'backbone')), { verify: false })
  return { folder, backbone, run: await makeRun(join(folder, 'run'), backbone) }
}

test('adapterhub: what a run with LayerNorms has left does not stay', async (t) => {
  const { folder, backbone, run } = await prepare(t)
  const output = join(folder, 'hub')
  const options = { to: 'adapterhub', output, backbone, overwrite: true }
  await exportRun(run, options)
  t.true((await readdir(output)).includes('without-layer-norms'))
  await writeFile(join(output, 'notes.txt'), 'mine')
  const other = await makeRun(join(folder, 'other'), backbone, { trainable: ['adapters', 'head'] })
  const { files } = await exportRun(other, options)
  const names = files.map((file) => file.slice(output.length + 1))
  t.deepEqual((await readdir(output)).sort(), [...names, 'notes.txt'].sort())
})

test('transformers.js: files of another tokenizer do not stay', async (t) => {
  const { folder, backbone, run } = await prepare(t)
  const output = join(folder, 'pipeline')
  await mkdir(join(output, 'onnx'), { recursive: true })
  await writeFile(join(output, 'vocab.txt'), 'old')
  await writeFile(join(output, 'onnx', 'model.onnx_data'), 'old')
  await exportRun(run, { to: 'transformers.js', output, backbone, overwrite: true, verify: false })
  t.deepEqual((await readdir(output)).sort(), ['config.json', 'onnx', 'tokenizer.json', 'tokenizer_config.json'])
  t.deepEqual(await readdir(join(output, 'onnx')), ['model.onnx'])
})

for (const to of ['adapterhub', 'transformers.js']) {
  test(`${to}: the folder of the backbone is refused`, async (t) => {
    const { folder, backbone, run } = await prepare(t)
    const output = join(folder, 'backbone')
    const before = await readdir(output)
    const refusal = { code: 'ERR_OPTION', message: /is the folder of the backbone/ }
    await t.throwsAsync(exportRun(run, { to, output, backbone, overwrite: true, verify: false }), refusal)
    t.deepEqual(await readdir(output), before)
    // As the hub has them: the model in a folder within.
    await mkdir(join(folder, 'nested', 'onnx'), { recursive: true })
    await copyFile(backbone.file, join(folder, 'nested', 'onnx', 'model.onnx'))
    const nested = { to, output: join(folder, 'nested'), backbone: join(folder, 'nested'), overwrite: true }
    await t.throwsAsync(exportRun(run, { ...nested, verify: false }), refusal)
  })
}
