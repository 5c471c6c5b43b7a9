import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { exportRun, importAdapter, OnnxAdaptersError } from '../../lib/index.js'
import { readSafeWeights } from '../../lib/formats/adapterhub/folder.js'
import { readTorchFile, writeTorchFile } from '../../lib/formats/torch_file.js'
import { cli } from '../support/cli.js'
import { roomyBackbone } from '../support/folder.js'
import { largestDifference, predictions, trainTiny } from '../support/trained.js'
import { readJson } from '../support/training.js'

test('a run goes out and comes in again, LayerNorms and head included', async (t) => {
  for (const adapter of [
    { size: 5, activation: 'silu' as const },
    { size: 8, layers: [1] },
  ]) {
    const { folder, options } = await trainTiny(t, { adapter })
    const output = join(folder, 'hub')
    const { files, warnings } = await exportRun(options.output, { to: 'adapterhub', output })
    t.is(files.length, 14)
    t.deepEqual(
      warnings.map(({ code }) => code),
      ['WARN_EXPORT_LAYER_NORMS'],
    )
    const back = join(folder, 'back')
    const { backbone } = options
    const result = await importAdapter(output, { from: 'adapterhub', backbone, output: back, threads: 1 })
    t.like(result, { name: 'run', task: 'classification', warnings: [] })
    t.is(largestDifference(await predictions(options.output), await predictions(back)), 0)
    const [before, after] = await Promise.all([options.output, back].map((run) => readJson(join(run, 'run.json'))))
    t.deepEqual(after!['task'], before!['task'])
    t.like(after!['imported'], { from: 'adapterhub', name: 'run' })
  }
})

test('by the command line, once to each place', async (t) => {
  const { folder, options } = await trainTiny(t)
  const [hub, back] = [join(folder, 'hub'), join(folder, 'back')]
  const exported = await cli(['export', options.output, '--to', 'adapterhub', '--output', hub])
  t.is(exported.code, 0, exported.stderr)
  t.regex(exported.stderr, /warning: .*LayerNorms/)
  const args = ['import', hub, '--from', 'adapterhub', '--backbone', options.backbone as string, '--output', back]
  const imported = await cli([...args, '--json'])
  t.is(imported.code, 0, imported.stderr)
  t.like(JSON.parse(imported.stdout), { output: back, task: 'classification' })
  t.is(largestDifference(await predictions(options.output), await predictions(back)), 0)
  const again = await cli(args)
  t.is(again.code, 1)
  t.regex(again.stderr, /ERR_OUTPUT_EXISTS/)
  t.is((await cli([...args, '--overwrite'])).code, 0)
  t.is((await cli([...args, '--from', 'adapterhop'])).code, 2)
})

test('without LayerNorms the backbone has its own', async (t) => {
  const { folder, options } = await trainTiny(t, { learningRate: 0.1 })
  const output = join(folder, 'hub')
  await exportRun(options.output, { to: 'adapterhub', output })
  const back = join(folder, 'back')
  const { backbone } = options
  await importAdapter(join(output, 'without-layer-norms'), { from: 'adapterhub', backbone, output: back, threads: 1 })
  t.true(largestDifference(await predictions(options.output), await predictions(back)) > 0)
  t.like(await readJson(join(back, 'run.json')), { options: { trainable: ['adapters', 'head'] } })
})

test('a regression goes out in the units of its data', async (t) => {
  const train = Array.from({ length: 24 }, (_, i) => ({ text: ['one', 'two', 'three'][i % 3]!, label: 5 + (i % 3) }))
  const { folder, options } = await trainTiny(t, { task: 'regression', train, validation: train })
  const output = join(folder, 'hub')
  await exportRun(options.output, { to: 'adapterhub', output })
  const back = join(folder, 'back')
  await importAdapter(output, { from: 'adapterhub', backbone: options.backbone, output: back, threads: 1 })
  t.true(largestDifference(await predictions(options.output), await predictions(back)) < 1e-5)
})

test('what cannot be said there is refused before anything is written', async (t) => {
  const refused = async (more: object, message: RegExp, name = 'run') => {
    const { folder, options } = await trainTiny(t, more, name)
    const output = join(folder, 'hub')
    await t.throwsAsync(exportRun(options.output, { to: 'adapterhub', output }), {
      code: 'ERR_EXPORT_UNSUPPORTED',
      message,
    })
    await t.throwsAsync(readFile(join(output, 'adapter_config.json')), { code: 'ENOENT' })
  }
  await refused({ head: { pool: 'mean' } }, /mean of all tokens/)
  await refused({ adapter: false, trainable: ['layerNorm', 'head'] }, /no adapters/)
  await refused({ adapter: undefined, trainable: { topLayers: 1 } }, /backbone's own weights/)
  await refused({}, /no dots/, 'run.v2')
  await refused({}, /PyTorch has something of that name/, 'half')
})

test('folders that are not whole, or of another model', async (t) => {
  const { folder, options } = await trainTiny(t)
  const { backbone } = options
  const whole = join(folder, 'hub')
  await exportRun(options.output, { to: 'adapterhub', output: whole })
  let number = 0
  const refused = async (code: string, message: RegExp, change: (copy: string) => Promise<unknown>, to = backbone) => {
    const copy = join(folder, `copy${++number}`)
    await cp(whole, copy, { recursive: true })
    await change(copy)
    const output = join(folder, `back${number}`)
    const error = await t.throwsAsync(importAdapter(copy, { from: 'adapterhub', backbone: to, output, threads: 1 }), {
      instanceOf: OnnxAdaptersError,
      message,
    })
    t.is((error as OnnxAdaptersError).code, code)
    await t.throwsAsync(readFile(join(output, 'run.json')))
  }
  const json = async (file: string, change: (root: Record<string, never>) => void) => {
    const root = (await readJson(file)) as Record<string, never>
    change(root)
    await writeFile(file, JSON.stringify(root))
  }
  await refused('ERR_INTEROP_MISSING', /no adapter_config\.json/, (copy) => rm(join(copy, 'adapter_config.json')))
  await refused('ERR_INTEROP_MISSING', /no head_config\.json/, (copy) => rm(join(copy, 'head_config.json')))
  await refused('ERR_INTEROP_MISSING', /no pytorch_adapter\.bin or adapter\.safetensors/, async (copy) => {
    await rm(join(copy, 'pytorch_adapter.bin'))
    await rm(join(copy, 'adapter.safetensors'))
  })
  await refused('ERR_TORCH_FILE', /neither like a ZIP/, (copy) => writeFile(join(copy, 'pytorch_adapter.bin'), 'x'))
  await refused('ERR_INTEROP_FILE', /not valid JSON/, (copy) => writeFile(join(copy, 'adapter_config.json'), '{'))
  await refused('ERR_INTEROP_FILE', /not a JSON object/, (copy) => writeFile(join(copy, 'head_config.json'), '[]'))
  await refused('ERR_INTEROP_UNSUPPORTED', /composition/, (copy) => writeFile(join(copy, 'adapter_setup.json'), '{}'))
  await refused('ERR_INTEROP_BACKBONE', /hidden size 64/, (copy) =>
    json(join(copy, 'adapter_config.json'), (root) => Object.assign(root, { hidden_size: 64 })),
  )
  await refused('ERR_INTEROP_FILE', /expected \[2, 32\]/, (copy) =>
    json(join(copy, 'adapter_config.json'), ({ config }) => Object.assign(config!, { reduction_factor: 16 })),
  )
  await refused('ERR_INTEROP_UNSUPPORTED', /"config\.layers" is 2/, (copy) =>
    json(join(copy, 'head_config.json'), ({ config }) => Object.assign(config!, { layers: 2 })),
  )
  await refused('ERR_INTEROP_BACKBONE', /finite/, async (copy) => {
    const file = join(copy, 'pytorch_adapter.bin')
    const tensors = [...(await readTorchFile(file))].map(([name, { shape, ...tensor }], i) => {
      void tensor
      return [name, { shape, data: new Float32Array(shape.reduce((n, d) => n * d, 1)).fill(i ? 0 : NaN) }] as const
    })
    await writeTorchFile(file, new Map(tensors), 'x')
  })
  await mkdir(join(folder, 'other'))
  const other = await roomyBackbone(join(folder, 'other'))
  await refused('ERR_INTEROP_BACKBONE', /sha256/, async () => {}, other)
  await refused('ERR_INTEROP_BACKBONE', /hidden size 32/, (copy) => rm(join(copy, 'onnx_adapters.json')), other)
})

test('safetensors alone, and names of labels that are given', async (t) => {
  const { folder, options } = await trainTiny(t)
  const { backbone } = options
  const hub = join(folder, 'hub')
  await exportRun(options.output, { to: 'adapterhub', output: hub })
  for (const name of ['pytorch_adapter.bin', 'pytorch_model_head.bin']) await rm(join(hub, name))
  await rename(join(hub, 'onnx_adapters.json'), join(folder, 'kept.json'))
  const file = join(hub, 'head_config.json')
  const root = await readJson(file)
  await writeFile(file, JSON.stringify({ ...root, config: { ...(root['config'] as object), label2id: null } }))
  const output = join(folder, 'back')
  const given = { from: 'adapterhub', backbone, output, overwrite: true, threads: 1 }
  const { warnings } = await importAdapter(hub, given)
  t.deepEqual(
    warnings.map(({ code }) => code),
    ['WARN_IMPORT_LABELS'],
  )
  t.regex((await predictions(output))[0]!.label!, /^LABEL_[012]$/)
  await importAdapter(hub, { ...given, labels: ['blue', 'green', 'red'] })
  t.is(largestDifference(await predictions(options.output), await predictions(output)), 0)
  await t.throwsAsync(importAdapter(hub, { ...given, labels: ['a'] }), { code: 'ERR_OPTION', message: /3 names/ })
})

test('layers that are left out change nothing, where the file has their LayerNorms', async (t) => {
  const { folder, options } = await trainTiny(t, { learningRate: 0.1 })
  const { backbone } = options
  const hub = join(folder, 'hub')
  await exportRun(options.output, { to: 'adapterhub', output: hub })
  const config = join(hub, 'adapter_config.json')
  const root = await readJson(config)
  await writeFile(config, JSON.stringify({ ...root, config: { ...(root['config'] as object), leave_out: [0] } }))
  const weights = join(hub, 'pytorch_adapter.bin')
  const kept = [...(await readTorchFile(weights))].filter(([name]) => !/layer\.0\..*\.adapters\./.test(name))
  const tensors = kept.map(([name, tensor]) => [name, { shape: tensor.shape, data: tensor.floats() }] as const)
  await writeTorchFile(weights, new Map(tensors), 'x')
  const output = join(folder, 'back')
  await importAdapter(hub, { from: 'adapterhub', backbone, output, threads: 1 })
  const saved = await readSafeWeights(join(output, 'adapter.safetensors'))
  const adapters = [...saved].filter(([name]) => name.includes('.adapter.'))
  t.is(adapters.length, 16)
  for (const [name, tensor] of adapters) {
    if (name.startsWith('layer.0.'))
      t.true(
        tensor.floats().every((value) => value === 0),
        name,
      )
    else if (name.endsWith('.weight'))
      t.true(
        tensor.floats().some((value) => value !== 0),
        name,
      )
  }
})

test('a length that its notes have is a whole number from 1', async (t) => {
  const { folder, options } = await trainTiny(t)
  const hub = join(folder, 'hub')
  await exportRun(options.output, { to: 'adapterhub', output: hub })
  const file = join(hub, 'onnx_adapters.json')
  const root = await readJson(file)
  const given = { from: 'adapterhub', backbone: options.backbone, output: join(folder, 'back'), threads: 1 }
  for (const maxLength of [0, -3, 1.5, '8']) {
    await writeFile(file, JSON.stringify({ ...root, options: { ...(root['options'] as object), maxLength } }))
    const expected = { code: 'ERR_INTEROP_FILE', message: /onnx_adapters\.json: "options\.maxLength" is/ }
    await t.throwsAsync(importAdapter(hub, given), expected)
  }
})
