import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { askChild } from '../../lib/backbone/child.js'
import { loadBackbone } from '../../lib/backbone/load.js'
import type { Feed, RunAnswer } from '../../lib/export/check_child.js'
import { exportRun } from '../../lib/export/export.js'
import { feedsOf } from '../../lib/export/rows.js'
import { decodeOnnxAdapter, encodeOnnxAdapter, readOnnxAdapter } from '../../lib/formats/onnx_adapter.js'
import { readModel } from '../../lib/onnx/read.js'
import { openRun } from '../../lib/train/open_run.js'
import { run as runChild } from '../support/child.js'
import { makeRun, madeTasks, type MadeRun } from '../support/exported.js'
import { temporaryFolder, tinyBackbone } from '../support/folder.js'
import { normal } from '../support/random.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { lacksRuntime, serialTestUnless, testUnless } from '../support/unless.js'

/** Tasks of different widths, of heads and adapters, which one graph can serve. */
const tasks: readonly MadeRun[] = [
  { task: madeTasks.classification, seed: 'a' },
  { task: madeTasks.regression, adapter: { size: 3 }, seed: 'b' },
  { task: { ...madeTasks.multilabel, labels: ['one', 'two'] }, adapter: { size: 6 }, seed: 'c' },
]

async function prepare(t: ExecutionContext, model?: string) {
  const folder = await temporaryFolder(t)
  const backbone = await loadBackbone(model ?? (await tinyBackbone(join(folder, 'backbone'))), { verify: false })
  const runs = await Promise.all(tasks.map((made, i) => makeRun(join(folder, `run${i}`), backbone, made)))
  return { folder, backbone, runs, output: join(folder, 'inputs.onnx') }
}

testUnless(lacksRuntime, 'one graph serves tasks of other widths by other tensors', async (t) => {
  const { runs, output } = await prepare(t)
  const result = await exportRun(runs, { to: 'onnx-inputs', output })
  t.true(result.maxAbsDifference! <= 2e-5)
  const { graph } = await readModel(output)
  const inputs = graph!.input.map(({ name }) => name)
  t.true(inputs.includes('layer.1.ffn.adapter.up.weight'))
  t.true(inputs.includes('embeddings.layer_norm.bias'))
  t.true(inputs.includes('head.weight'))
  t.false(inputs.includes('task_index'))
})

const spellings: readonly (string | undefined)[] = [
  undefined,
  ...[
    'bert-ortopt',
    'bert-legacy14-eager',
    'bert-fp16',
    'bert-legacy14-static',
    'bert-legacy20-eager',
    'bert-optimum-O2',
  ],
]

for (const name of spellings) {
  const model = name === undefined ? undefined : sharedPath('fixtures', name, 'model.onnx')
  const missing = lacksRuntime ?? (name === undefined ? undefined : lacksShared(model))
  serialTestUnless(missing, `one batch mixes tasks: ${name ?? 'tiny encoder'}`, async (t) => {
    const { folder, backbone, runs, output } = await prepare(t, model)
    const result = await exportRun(runs, { to: 'onnx-inputs', output, backbone, mixed: true })
    const limit = backbone.config.weightType === 'f16' ? 2e-2 : 2e-5
    t.true(result.maxAbsDifference! <= limit, String(result.maxAbsDifference))
    const file = join(folder, 'tasks.onnx_adapter')
    await exportRun(runs, { to: 'onnx-adapter', output: file, backbone })
    // Rows of one task after another, of several lengths.
    const rows = [0, 1, 2, 0, 2, 1].map((task, i) => ({ task, ids: [5, 9, 7 + i, 11].slice(0, 2 + (i % 3)) }))
    const length = backbone.imported.fixedShape?.[1] ?? 4
    const used = backbone.imported.fixedShape ? rows.slice(0, 2) : rows
    const batch = { rows: used.map(({ ids }) => ({ ids, types: ids.map(() => 0) })), length }
    const tensors = await readOnnxAdapter(file)
    const answer = await askChild<RunAnswer>(new URL('../../lib/export/check_child.js', import.meta.url), {
      model: output,
      outputs: ['logits'],
      shared: Object.fromEntries([...tensors].map(([input, { shape, data }]) => [input, feed(shape, data)])),
      runs: [
        {
          ...feedsOf(batch, backbone.imported, (await readModel(backbone.file)).graph!),
          task_index: feed(
            [used.length],
            BigInt64Array.from(used, (row) => BigInt(row.task)),
          ),
        },
      ],
    })
    if (answer.kind !== 'done') return t.fail(answer.reason)
    const { logits } = answer.results[0]!
    const width = logits!.length / used.length
    t.is(width, 3)
    for (const [i, { task, ids }] of used.entries()) {
      const { model: alone, task: own } = await openRun(runs[task]!, { backbone })
      const [expected] = await alone.forward({ inputIds: [ids] })
      await alone.dispose()
      const found = [...logits!.slice(i * width, (i + 1) * width)]
      for (let k = 0; k < own.outputs; k++) {
        const value = own.kind === 'regression' ? (found[k]! + 3) / 15 : found[k]!
        t.true(Math.abs(value - expected![k]!) <= limit, `row ${i}, output ${k}`)
      }
      for (const other of found.slice(own.outputs)) t.true(other < -1e20)
    }
  })
}

function feed(dims: readonly number[], data: Float32Array | BigInt64Array): Feed {
  return { type: data instanceof Float32Array ? 'float32' : 'int64', dims, data }
}

test('runs that no graph can serve together are refused', async (t) => {
  const { folder, backbone, runs, output } = await prepare(t)
  const options = { to: 'onnx-inputs', output, backbone, verify: false }
  const refused = async (message: RegExp, made: MadeRun, code = 'ERR_EXPORT_UNSUPPORTED') => {
    const other = await makeRun(join(folder, 'other'), backbone, made)
    await t.throwsAsync(exportRun([runs[0]!, other], options), { code, message })
  }
  await refused(/differ in their head \(linear layer over cls and token\)/, { task: madeTasks.token })
  await refused(/differ in their head \(linear layer over cls and linear layer over mean\)/, { pool: 'mean' })
  await refused(/differ in their activation/, { adapter: { activation: 'relu' } })
  await refused(/only one has a tensor "layer\.0\.attention\.adapter/, { adapter: { layers: [1] } })
  const all = await makeRun(join(folder, 'all'), backbone, { trainable: 'all' })
  await t.throwsAsync(exportRun(all, options), { message: /trained weights of the backbone itself.*export it to onnx/ })
  await t.throwsAsync(exportRun(runs[0]!, { ...options, to: 'onnx', mixed: true }), { code: 'ERR_OPTION' })
  await t.throwsAsync(exportRun(runs, { ...options, to: 'onnx' }), {
    code: 'ERR_OPTION',
    message: /of one run, not of 3/,
  })
})

const python = process.env['ONNX_ADAPTERS_PYTHON']
testUnless(
  python === undefined ? 'ONNX_ADAPTERS_PYTHON names no Python with onnxruntime' : undefined,
  'ONNX Runtime loads .onnx_adapter files',
  async (t) => {
    const { folder, backbone, runs, output } = await prepare(t)
    await exportRun(runs[0]!, { to: 'onnx-inputs', output, backbone })
    const file = join(folder, 'a.onnx_adapter')
    await exportRun(runs[0]!, { to: 'onnx-adapter', output: file, backbone })
    const script = join(folder, 'load.py')
    await writeFile(script, loadAdapter)
    const { status, stdout, stderr } = await runChild(python!, [script, output, file])
    t.is(status, 0, stderr)
    const { model } = await openRun(runs[0]!, { backbone })
    const [expected] = await model.forward({ inputIds: [[5, 9, 7]] })
    await model.dispose()
    const { active, fed, names } = JSON.parse(stdout) as { active: number[]; fed: number[]; names: string[] }
    for (const logits of [active, fed])
      t.true(
        logits.every((value, i) => Math.abs(value - expected![i]!) < 1e-4),
        `${logits} not ${expected}`,
      )
    t.deepEqual(names.sort(), [...(await readOnnxAdapter(file)).keys()].sort())
  },
)

const loadAdapter = `
import json, sys
import numpy as np, onnxruntime as ort
session = ort.InferenceSession(sys.argv[1])
adapter = ort.LoraAdapter()
adapter.Load(sys.argv[2])
options = ort.RunOptions()
options.add_active_adapter(adapter)
own = {"input_ids": [[5, 9, 7]], "attention_mask": [[1, 1, 1]], "token_type_ids": [[0, 0, 0]]}
feeds = {i.name: np.array(own[i.name], dtype=np.int64) for i in session.get_inputs() if i.name in own}
# The Python class asks for all inputs itself; the runtime below it takes those of the adapter.
active = session._sess.run(["logits"], feeds, options)
content = ort.AdapterFormat.read_adapter(sys.argv[2])
parameters = {name: value.numpy().copy() for name, value in content.get_parameters().items()}
fed = session.run(None, {**feeds, **parameters})[0]
print(json.dumps({"active": active[0][0].tolist(), "fed": fed[0].tolist(), "names": list(parameters)}))
`

test('.onnx_adapter files: what is written is read again, and damage is told', (t) => {
  const tensors = new Map([
    ['layer.0.attention.adapter.down.weight', { shape: [3, 5], data: normal('a', 15) }],
    ['näme', { shape: [7], data: normal('b', 7) }],
    ['head.labels', { shape: [2], data: BigInt64Array.from([3n, 2n]) }],
    ['empty', { shape: [0, 4], data: new Float32Array(0) }],
  ])
  const bytes = encodeOnnxAdapter(tensors)
  t.deepEqual(decodeOnnxAdapter(bytes, 'x'), tensors)
  t.is(Buffer.from(bytes).toString('latin1', 4, 8), 'TORT')
  const refused = { code: 'ERR_EXPORT_FILE', message: /^x: not an \.onnx_adapter file/ }
  for (let length = 0; length < bytes.length - 8; length += 7)
    t.throws(() => decodeOnnxAdapter(bytes.slice(0, length), 'x'), refused)
  // Any other byte gives tensors or an error, and neither more of them nor larger ones than the file has.
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Uint8Array.from(bytes)
    damaged[at] = damaged[at]! ^ 0xff
    try {
      const read = decodeOnnxAdapter(damaged, 'x')
      t.true([...read.values()].reduce((sum, { data }) => sum + data.byteLength, 0) <= bytes.length)
    } catch (error) {
      t.is((error as { code?: string }).code, 'ERR_EXPORT_FILE')
    }
  }
})
