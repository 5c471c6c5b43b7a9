/** Round trips with the Python library `adapters`: see scripts/interop.mjs. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { exportRun, importAdapter } from '../../lib/index.js'
import { writeTorchFile } from '../../lib/formats/torch_file.js'
import { madeTasks, makeRun } from '../support/exported.js'
import { temporaryFolder } from '../support/folder.js'
import { largestGap, runLogits, someIds, writeHfModel } from '../support/hf_model.js'
import { lacksPython, runJobs } from '../support/python.js'
import { serialTestUnless } from '../support/unless.js'

const missing = lacksPython('torch', 'adapters')
const budget = 1e-5

serialTestUnless(missing, 'torch.load reads what is written, with weights_only', async (t) => {
  const path = join(await temporaryFolder(t), 'x.bin')
  const tensors = new Map([
    ['a', { shape: [2, 2], data: Float32Array.of(0, 1, 2, 3) }],
    ['ü', { shape: [], data: Float32Array.of(0.5) }],
    ['empty', { shape: [0], data: new Float32Array(0) }],
  ])
  await writeTorchFile(path, tensors, 'x')
  t.deepEqual((await runJobs([{ do: 'torch-load', path }]))[0] as unknown, {
    a: [
      [0, 1],
      [2, 3],
    ],
    ü: 0.5,
    empty: [],
  })
})

serialTestUnless(missing, 'runs of every kind predict the same there, loaded by default', async (t) => {
  const folder = await temporaryFolder(t)
  const { folder: model, backbone } = await writeHfModel(join(folder, 'model'))
  const made = {
    classification: { pool: 'cls', adapter: { size: 5, activation: 'gelu' } },
    pooled: { pool: 'pooler', adapter: { size: 13, activation: 'gelu_tanh' } },
    regression: { task: madeTasks.regression, adapter: { size: 40, activation: 'tanh' } },
    multilabel: { task: madeTasks.multilabel, adapter: { size: 8, activation: 'silu', layers: [1] } },
    token: { task: madeTasks.token, adapter: { size: 1, activation: 'relu' } },
    span: { task: madeTasks.span },
    frozen: { trainable: ['adapters', 'head'] },
    // One name begins with the other.
    sst: { seed: 'sst' },
    sst2: { seed: 'sst2' },
  } as const
  const jobs: object[] = []
  const ours: number[][][] = []
  for (const [name, options] of Object.entries(made)) {
    const run = await makeRun(join(folder, 'runs', name), backbone, options)
    const path = join(folder, 'hub', name)
    await exportRun(run, { to: 'adapterhub', output: path, backbone })
    jobs.push({ do: 'adapterhub-load', model, path, name, ids: someIds, types: true })
    const logits = await runLogits(run, backbone)
    ours.push(name === 'regression' ? logits.map((row) => row.map((value) => 15 * value - 3)) : logits)
  }
  // Heads and adapters of two names side by side, LayerNorms of the last; and the safetensors files.
  const path = (name: string) => join(folder, 'hub', name)
  const beside = { do: 'adapterhub-load', model, ids: someIds, types: true }
  jobs.push({ ...beside, path: path('sst2'), more: [path('sst')], name: 'sst' })
  jobs.push({ ...beside, path: path('sst'), name: 'sst', options: { use_safetensors: true } })
  const sst = ours[Object.keys(made).indexOf('sst')]!
  const theirs = await runJobs(jobs)
  for (const [i, expected] of [...ours, sst, sst].entries()) {
    const gap = largestGap(expected, theirs[i]!)
    // Values in units of 15 times what the head gives.
    t.true(gap <= (i === 2 ? 15 : 1) * budget, `${Object.keys(made)[i] ?? `sst again, ${i}`}: ${gap}`)
    t.log(`${Object.keys(made)[i] ?? 'sst again'}: ${gap.toExponential(1)}`)
  }
})

serialTestUnless(missing, 'without LayerNorms it predicts as with those of the model', async (t) => {
  const folder = await temporaryFolder(t)
  const { folder: model, backbone } = await writeHfModel(join(folder, 'model'))
  const run = await makeRun(join(folder, 'runs', 'norms'), backbone)
  const hub = join(folder, 'hub')
  await exportRun(run, { to: 'adapterhub', output: hub, backbone })
  const path = join(hub, 'without-layer-norms')
  const output = join(folder, 'runs', 'back')
  await importAdapter(path, { from: 'adapterhub', backbone, output, threads: 1 })
  const [theirs] = await runJobs([{ do: 'adapterhub-load', model, path, name: 'norms', ids: someIds, types: true }])
  t.true(largestGap(await runLogits(output, backbone), theirs!) <= budget)
  t.true(largestGap(await runLogits(run, backbone), theirs!) > 100 * budget)
})

serialTestUnless(missing, 'what that library writes is read, whatever its configuration', async (t) => {
  const folder = await temporaryFolder(t)
  const { folder: model, backbone } = await writeHfModel(join(folder, 'model'))
  const houlsby = { mh_adapter: true, output_adapter: true, reduction_factor: 4, non_linearity: 'swish' }
  const method = 'add_classification_head'
  const head = { method, num_labels: 3, layers: 1, id2label: { 0: 'a', 1: 'b', 2: 'c' } }
  const made = {
    plain: { config: houlsby, head },
    odd: {
      config: { ...houlsby, reduction_factor: 32 / 5.5, non_linearity: 'gelu' },
      head: { ...head, use_pooler: true },
    },
    mapped: { config: { ...houlsby, reduction_factor: { '0': 2, default: 8 }, non_linearity: 'gelu_new' }, head },
    fixed: { config: { ...houlsby, scaling: 4.5, residual_before_ln: false }, head },
    learned: { config: { ...houlsby, scaling: 'learned', non_linearity: 'tanh' }, head },
    channel: { config: { ...houlsby, scaling: 'channel', non_linearity: 'relu' }, head },
    output_only: { config: { ...houlsby, mh_adapter: false }, head },
    above: { config: { ...houlsby, leave_out: [0] }, head },
    safe: { config: houlsby, head, options: { use_safetensors: true } },
    several: { config: houlsby, head: { ...head, method: 'add_classification_head', multilabel: true } },
    tags: { config: houlsby, head: { method: 'add_tagging_head', num_labels: 3 } },
    answers: { config: houlsby, head: { method: 'add_qa_head', num_labels: 2 } },
  }
  const path = (name: string) => join(folder, 'hub', name)
  const jobs = Object.entries(made).map(([name, job]) => ({
    do: 'adapterhub-save',
    model,
    path: path(name),
    name,
    ids: someIds,
    types: true,
    ...job,
  }))
  await mkdir(join(folder, 'hub'))
  const theirs = await runJobs(jobs)
  for (const [i, name] of Object.keys(made).entries()) {
    const output = join(folder, 'runs', name)
    await importAdapter(path(name), { from: 'adapterhub', backbone, output, threads: 1 })
    const gap = largestGap(await runLogits(output, backbone), theirs[i]!)
    t.true(gap <= budget, `${name}: ${gap}`)
  }
  const refused = [
    [{ ...houlsby, original_ln_before: true }, head, /original_ln_before/],
    [houlsby, { ...head, layers: 2 }, /config\.layers/],
  ] as const
  for (const [i, [config, heads, message]] of refused.entries()) {
    const name = `refused${i}`
    const job = { do: 'adapterhub-save', model, path: path(name), name, ids: [], types: true, config, head: heads }
    await runJobs([job])
    const options = { from: 'adapterhub', backbone, output: join(folder, 'runs', name), threads: 1 }
    await t.throwsAsync(importAdapter(path(name), options), { code: 'ERR_INTEROP_UNSUPPORTED', message })
  }
})
