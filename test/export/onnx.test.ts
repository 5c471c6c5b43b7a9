import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Backbone } from '../../lib/backbone/backbone.js'
import { loadBackbone } from '../../lib/backbone/load.js'
import { exportRun } from '../../lib/export/export.js'
import { valueInfo } from '../../lib/export/write.js'
import { taskKinds } from '../../lib/kinds.js'
import { readModel } from '../../lib/onnx/read.js'
import { fieldNumber, readRecords } from '../../lib/onnx/records.js'
import type { OnnxModel } from '../../lib/onnx/schema.js'
import { encodeModel, writeModel } from '../../lib/onnx/write.js'
import { changedRun, makeRun, madeTasks, type MadeRun } from '../support/exported.js'
import { temporaryFolder, tinyBackbone } from '../support/folder.js'
import { tinyBert } from '../support/onnx_models.js'
import { lacksRuntime, testUnless } from '../support/unless.js'

async function prepare(t: ExecutionContext, made: MadeRun = {}) {
  const folder = await temporaryFolder(t)
  const backbone = await loadBackbone(await tinyBackbone(join(folder, 'backbone')), { verify: false })
  const run = await makeRun(join(folder, 'run'), backbone, made)
  return { folder, backbone, run, output: join(folder, 'out', 'model.onnx') }
}

for (const kind of taskKinds) {
  testUnless(lacksRuntime, `${kind}: what ONNX Runtime gives, and what the file says of itself`, async (t) => {
    const { backbone, run, output } = await prepare(t, { task: madeTasks[kind] })
    // One without the backbone in memory: the engine runs in another process then.
    const loaded = kind === 'classification' ? {} : { backbone }
    const result = await exportRun(run, { to: 'onnx', output, ...loaded, threads: 1 })
    t.true(result.maxAbsDifference! <= 2e-5)
    t.deepEqual(result.files, [output])
    t.deepEqual(result.warnings, [])
    const { graph, metadataProps } = await readModel(output)
    const shapes = graph!.output.map(({ name, type }) => {
      const sizes = type!.tensorType!.shape!.dim.map(({ dimValue, dimParam }) => dimParam ?? dimValue)
      return `${name} ${sizes.length} ${sizes.at(-1)}`
    })
    const sequence = graph!.input[0]!.type!.tensorType!.shape!.dim[1]!.dimParam!
    const expected = {
      classification: ['logits 2 3'],
      regression: ['logits 2 1'],
      multilabel: ['logits 2 3'],
      span: [`start_logits 2 ${sequence}`, `end_logits 2 ${sequence}`],
      token: ['logits 3 3'],
    }
    t.deepEqual(shapes, expected[kind])
    const facts = new Map(metadataProps.map(({ key, value }) => [key, value]))
    t.is(facts.get('onnx_adapters.task'), kind)
    t.is(facts.get('onnx_adapters.backbone_sha256'), backbone.sha256)
    if (kind === 'token') t.is(facts.get('onnx_adapters.labels'), '["O","B","I"]')
    if (kind === 'regression') t.is(facts.get('onnx_adapters.range'), '{"minimum":-3,"maximum":12}')
  })
}

test('all but the changed places is copied byte by byte, and the backbone stays as it is', async (t) => {
  // With its pooler in use, no node of the file leads nowhere.
  const { backbone, run, output } = await prepare(t, { pool: 'pooler' })
  const before = await sha256(backbone.file)
  await exportRun(run, { to: 'onnx', output, backbone, verify: false })
  t.is(await sha256(backbone.file), before)
  const [old, now] = [await rawRecords(backbone.file), await rawRecords(output)]
  const kept = new Set([...now.node, ...now.initializer])
  const { layers } = backbone.config
  // A sum and a LayerNorm in each sub-layer, and that of the embeddings; this file has a node for each.
  const changed = old.node.filter((bytes) => !kept.has(bytes)).length
  t.is(changed, 2 * layers * 2 + 1)
  t.is(old.initializer.filter((bytes) => !kept.has(bytes)).length, 2 * (2 * layers + 1))
  t.deepEqual(now.input, old.input)
})

test('weights that were trained stand in the place of the old ones', async (t) => {
  const { backbone, run, output } = await prepare(t, { trainable: 'all' })
  await exportRun(run, { to: 'onnx', output, backbone, verify: false })
  const [old, now] = [await readModel(backbone.file), await readModel(output)]
  const names = (model: typeof old) => model.graph!.initializer.map(({ name }) => name)
  const word = backbone.imported.anchors!.weights.get('embeddings.word.weight')!.tensor
  const bytes = (model: typeof old) => model.graph!.initializer.find(({ name }) => name === word)!.rawData!
  t.true(names(now).includes(word))
  t.is(bytes(now).length, bytes(old).length)
  t.notDeepEqual(Buffer.from(bytes(now)), Buffer.from(bytes(old)))
})

test('a trained weight that the file has no tensor for is refused', async (t) => {
  const { backbone, run, output } = await prepare(t, { trainable: 'all' })
  const { anchors } = backbone.imported
  const weights = new Map([...anchors!.weights].filter(([name]) => name !== 'embeddings.word.weight'))
  Object.defineProperty(backbone, 'imported', { value: { ...backbone.imported, anchors: { ...anchors!, weights } } })
  await t.throwsAsync(exportRun(run, { to: 'onnx', output, backbone, verify: false }), {
    code: 'ERR_EXPORT_UNSUPPORTED',
    message: /"embeddings\.word\.weight"/,
  })
})

/** A tiny model, changed, and a run of it. */
async function prepareTiny(
  t: ExecutionContext,
  made: MadeRun,
  change: (model: OnnxModel) => void,
  external = false,
): Promise<{ folder: string; file: string; backbone: Backbone; run: string }> {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'backbone', 'model.onnx')
  await mkdir(dirname(file))
  const model = tinyBert()
  change(model)
  await writeModel(model, file, { external: external && { threshold: 64 } })
  const backbone = await loadBackbone(file, { verify: false })
  return { folder, file, backbone, run: await makeRun(join(folder, 'run'), backbone, made) }
}

for (const trainable of [undefined, 'all'] as const) {
  test(`initializers that are inputs too stay as they are, or go with them: ${trainable ?? 'adapters'}`, async (t) => {
    const { folder, backbone, run } = await prepareTiny(t, trainable ? { trainable } : {}, (model) => {
      model.irVersion = 3
      for (const { name, dataType, dims } of model.graph!.initializer)
        model.graph!.input.push(valueInfo(name!, dataType!, dims.map(Number)))
    })
    const output = join(folder, 'out.onnx')
    const result = await exportRun(run, { to: 'onnx', output, backbone })
    if (lacksRuntime === undefined) t.true(result.maxAbsDifference! <= 2e-5)
    const { graph } = await readModel(output)
    const inputs = graph!.input.map(({ name }) => name!)
    t.is(new Set(inputs).size, inputs.length)
    const fed = new Set(['input_ids', 'attention_mask', 'token_type_ids'])
    const tensors = graph!.initializer.map(({ name }) => name!)
    t.deepEqual(inputs.filter((name) => !fed.has(name)).sort(), tensors.sort())
  })
}

test('a node may be called as an output is', async (t) => {
  const { folder, backbone, run } = await prepareTiny(t, {}, (model) => {
    model.graph!.node[0]!.name = 'logits'
  })
  const result = await exportRun(run, { to: 'onnx', output: join(folder, 'out.onnx'), backbone })
  if (lacksRuntime === undefined) t.true(result.maxAbsDifference! <= 2e-5)
})

testUnless(lacksRuntime, 'data files take their places with the model that was looked at', async (t) => {
  const { folder, file, backbone, run } = await prepareTiny(t, {}, () => {}, true)
  const output = join(folder, 'out', 'model.onnx')
  const options = { to: 'onnx', output, backbone, overwrite: true }
  const result = await exportRun(run, options)
  t.true(result.maxAbsDifference! <= 2e-5)
  t.deepEqual(result.files, [output, `${output}_data`])
  t.is(await sha256(`${output}_data`), await sha256(`${file}_data`))
  await writeFile(`${output}_data`, 'before')
  const before = await sha256(output)
  const { anchors } = backbone.imported
  const [first, second] = anchors!.layers
  const wrong = { ...backbone.imported, anchors: { ...anchors!, layers: [second!, first!] } }
  Object.defineProperty(backbone, 'imported', { value: wrong })
  await t.throwsAsync(exportRun(run, options), { code: 'ERR_EXPORT_DIFFERS' })
  t.is(await sha256(output), before)
  t.is(await readFile(`${output}_data`, 'utf8'), 'before')
  t.deepEqual((await readdir(dirname(output))).sort(), ['model.onnx', 'model.onnx_data'])
  await t.throwsAsync(exportRun(run, { ...options, output: join(folder, 'other', 'model.onnx_data') }), {
    code: 'ERR_OPTION',
    message: /its data file/,
  })
})

test('names that the file uses already are left to it', async (t) => {
  const { folder, backbone } = await prepare(t)
  const renamed = await readModel(backbone.file)
  const taken = 'layer.0.attention.adapter.down.bias'
  const [first, second] = [3, 4].map((i) => renamed.graph!.node[i]!.output[0]!)
  const swap = (name: string) => (name === first ? taken : name === second ? 'logits' : name)
  for (const node of renamed.graph!.node) {
    node.input = node.input.map(swap)
    node.output = node.output.map(swap)
  }
  const file = join(folder, 'renamed.onnx')
  await writeFile(file, encodeModel(renamed))
  const other = await loadBackbone(file, { verify: false })
  const run = await makeRun(join(folder, 'other'), other)
  const result = await exportRun(run, { to: 'onnx', output: join(folder, 'other.onnx'), backbone: other })
  if (lacksRuntime === undefined) t.true(result.maxAbsDifference! <= 2e-5)
  const model = await readModel(join(folder, 'other.onnx'))
  t.is(model.graph!.node.filter(({ output }) => output.includes('logits')).length, 1)
  t.true(model.graph!.initializer.some(({ name }) => name === `${taken}_1`))
})

test('what is wrong is said before anything is written', async (t) => {
  const { folder, backbone, run, output } = await prepare(t)
  const options = { to: 'onnx', output, backbone, verify: false }
  const refused = (code: string, message: RegExp, runs: string, more: object = {}) =>
    t.throwsAsync(exportRun(runs, { ...options, ...more }), { code, message })
  await refused('ERR_OPTION', /"to" must be one of .*did you mean "onnx-inputs"/, run, { to: 'onnx-input' })
  await refused('ERR_OPTION', /unknown option "ouput".*did you mean "output"/, run, { ouput: 'x' })
  await refused('ERR_OPTION', /is the backbone itself/, run, { output: backbone.file, overwrite: true })
  await refused('ERR_OPTION', /is a folder/, run, { output: folder })
  await writeFile(join(folder, 'there.onnx'), '')
  await refused('ERR_OUTPUT_EXISTS', /there\.onnx exists/, run, { output: join(folder, 'there.onnx') })
  await refused('ERR_RUN_MISSING', /not the folder of a run/, join(folder, 'absent'))
  const unfinished = await changedRun(run, join(folder, 'unfinished'), { status: 'interrupted' }, false)
  await refused('ERR_RUN_MISSING', /was stopped/, unfinished)
  const headless = await changedRun(run, join(folder, 'headless'), {}, true)
  await refused('ERR_EXPORT_HEAD', /has no head/, headless)
  const foreign = await changedRun(
    run,
    join(folder, 'foreign'),
    { backbone: { name: 'x', path: 'x', sha256: '00' } },
    false,
  )
  await refused('ERR_RUN_BACKBONE', /was trained on the backbone "x"/, foreign)
})

testUnless(lacksRuntime, 'an export that gives other values leaves what was there', async (t) => {
  const { backbone, run, output } = await prepare(t)
  await exportRun(run, { to: 'onnx', output, backbone })
  const before = await sha256(output)
  // The graph is read anew, with another content than the engine has.
  const { anchors } = backbone.imported
  const [first, second] = anchors!.layers
  const wrong = { ...backbone.imported, anchors: { ...anchors!, layers: [second!, first!] } }
  Object.defineProperty(backbone, 'imported', { value: wrong })
  await t.throwsAsync(exportRun(run, { to: 'onnx', output, backbone, overwrite: true }), { code: 'ERR_EXPORT_DIFFERS' })
  t.is(await sha256(output), before)
})

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}

/** Records of the graph as text, by kind. */
async function rawRecords(file: string) {
  const bytes = await readFile(file)
  const { graph } = await readRecords(file)
  const of = (kind: 'node' | 'initializer' | 'input') =>
    graph
      .filter(({ field }) => field === fieldNumber(kind))
      .map(({ start, end }) => bytes.toString('latin1', start, end))
  return { node: of('node'), initializer: of('initializer'), input: of('input') }
}
