import { execFile } from 'node:child_process'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { gpuJobs } from '../../bench/gpu/job.js'
import { gpuShapes, makeModel, publishedName } from '../../bench/gpu/model.js'
import { measurePeers, whyNoPeers, type PeerOptions } from '../../bench/gpu/peer.js'
import { printGpuReport } from '../../bench/gpu/print.js'
import { jointRate, productsOf } from '../../bench/gpu/products.js'
import { runGpuBench, type GpuBenchOptions } from '../../bench/gpu/run.js'
import type { GpuReport } from '../../bench/gpu/report.js'
import { switches } from '../../bench/support/arguments.js'
import { sum } from '../../lib/bench/statistics.js'
import { Subject } from '../../lib/bench/subject.js'
import { makeVariants } from '../../lib/bench/variant.js'
import { makeWorkload } from '../../lib/bench/workload.js'
import { readSafetensors, toFloats } from '../../lib/formats/safetensors.js'
import { describe } from '../../lib/runtime/binding.js'
import { temporaryFolder } from '../support/folder.js'
import { packagePath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

const job = { shape: 'tiny', workload: 'equal', rows: 2, model: '8' } as const

function options(folder: string, more: Partial<GpuBenchOptions> = {}): GpuBenchOptions {
  return {
    device: 'cpu',
    precision: 'auto',
    threads: 1,
    shapes: ['tiny'],
    workloads: ['equal'],
    rows: [2],
    models: ['8', 'full'],
    milliseconds: 1,
    batches: 1,
    turns: 2,
    folder,
    seed: 3,
    peers: undefined,
    versions: undefined,
    skipped: ['PyTorch: not asked for'],
    quick: true,
    signal: new AbortController().signal,
    log: () => undefined,
    save: () => Promise.resolve(),
    ...more,
  }
}

test('every configuration has rates, parts, bytes, and a share of the products of its shapes', async (t) => {
  const saved: GpuReport[] = []
  const report = await runGpuBench(
    options(await temporaryFolder(t), { save: (document) => Promise.resolve(void saved.push(document)) }),
  )
  t.true(report.complete)
  t.deepEqual(
    saved.map(({ complete }) => complete),
    [false, false, false, false, true],
  )
  t.deepEqual(
    report.results.map(({ shape, workload, rows, model }) => [shape, workload, rows, model]),
    [
      ['tiny', 'equal', 2, '8'],
      ['tiny', 'equal', 2, 'full'],
    ],
  )
  for (const each of report.results) {
    t.is(each.tokensPerStep, 256)
    t.is(each.turns.length, 2)
    t.true(each.milliseconds.p10 <= each.milliseconds.median && each.milliseconds.median <= each.milliseconds.p90)
    t.true(each.shareOfProducts > 0 && each.shareOfProducts < 1, `${each.shareOfProducts}`)
    t.true(Math.abs(sum(Object.values(each.split.milliseconds)) - each.split.total) < 1e-9)
    t.true(each.bytes.activations > 0 && each.held.activations > 0)
  }
  t.is(report.gpu, undefined)
  t.deepEqual(report.failed, [])
  const text = printGpuReport(report)
  t.regex(text, /not a GPU/)
  t.regex(text, /skipped: PyTorch: not asked for/)
  t.deepEqual(JSON.parse(JSON.stringify(report)), report)
})

test('the model is the same from the same seed, and its ONNX file holds the tensors of its safetensors', async (t) => {
  const [one, other] = [await temporaryFolder(t), await temporaryFolder(t)]
  const backbone = await makeModel('tiny', one, 5)
  t.is(backbone.sha256, (await makeModel('tiny', other, 5)).sha256)
  t.not(backbone.sha256, (await makeModel('tiny', other, 6)).sha256)
  const { tensors } = await readSafetensors(join(one, 'tiny-5', 'model.safetensors'))
  const name = 'encoder.layer.1.intermediate.dense.weight'
  const values = toFloats(name, tensors.get(name)!)
  t.deepEqual(tensors.get(name)!.shape, [gpuShapes.tiny.feedForward, gpuShapes.tiny.hidden])
  const parts = backbone.imported.graph.nodes.flatMap(({ inputs }) =>
    Object.values(inputs).flatMap((value) => value.parts ?? []),
  )
  const turned = parts.find((part) => part.name === 'layer.1.ffn.up.weight')!
  const [rows, columns] = [gpuShapes.tiny.feedForward, gpuShapes.tiny.hidden]
  for (const [row, column] of [
    [0, 1],
    [77, 13],
    [rows - 1, columns - 1],
  ] as const)
    t.is(turned.data[turned.transposed ? column * rows + row : row * columns + column], values[row * columns + column])
  t.true(tensors.has('embeddings.LayerNorm.bias') && tensors.has('pooler.dense.weight'))
  t.throws(() => publishedName('layer.0.strange.weight'), { message: /no published name/ })
})

test('products are those of the linear layers, in both directions', async (t) => {
  const backbone = await makeModel('tiny', await temporaryFolder(t), 5)
  const [variant] = makeVariants(['full'], [1])
  const { positions, vocabulary } = backbone.config
  const workload = makeWorkload('equal', { batchSize: 2, positions, vocabulary, batches: 1 })
  const subject = await Subject.create(backbone, variant!, workload, { device: 'cpu', threads: 1, timing: false })
  const products = productsOf(subject.nodes('step'), 100, 2)
  const has = (rows: number, columns: number, depth: number) =>
    products.find((each) => each.rows === rows && each.columns === columns && each.depth === depth)?.count
  t.deepEqual([has(100, 192, 64), has(100, 128, 64), has(100, 64, 128)], [2, 2, 2], 'forward of two layers')
  t.is(has(192, 64, 100), 2, 'weight gradients')
  t.true((await subject.measureProduct({ rows: 8, columns: 8, depth: 8, transposeA: false, transposeB: true }, 1)) > 0)
  await t.throwsAsync(
    subject.measureProduct({ rows: 0, columns: 8, depth: 8, transposeA: false, transposeB: true }, 1),
    { code: 'ERR_OPTION', message: /rows/ },
  )
  await subject.dispose()
  const shape = { rows: 1, columns: 1, depth: 1, transposeA: false, transposeB: false }
  t.is(
    jointRate(
      [
        { ...shape, count: 1 },
        { ...shape, count: 1 },
      ],
      [2, 6],
    ),
    3,
  )
})

/** A Python that writes what the real script would. */
async function fakePython(folder: string, body: string): Promise<string> {
  const file = join(folder, 'python')
  await writeFile(file, `#!${process.execPath}\n${body}`)
  await chmod(file, 0o755)
  return file
}

const writesLine = `
const { appendFileSync, readFileSync } = require('node:fs')
const args = process.argv.slice(2)
const after = (name) => args[args.indexOf(name) + 1]
if (args.includes('compile')) { console.error('Traceback\\nno compiler here'); process.exit(3) }
const lengths = args.includes('--lengths') ? readFileSync(after('--lengths'), 'utf8').split('\\n').map(Number) : []
const real = lengths.length ? lengths.reduce((a, b) => a + b) / lengths.length : Number(after('--length'))
appendFileSync(after('--json'), JSON.stringify({ tokens_per_s: 1000 * real, step_ms: 4, real_tokens_per_step: real,
  padded_tokens_per_step: 2 * real, peak_mib: 12 }) + '\\n')`

test('PyTorch takes its turns, and a way that fails stands for itself alone', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'torch_cuda.py'), '')
  const peers: PeerOptions = {
    peers: folder,
    python: await fakePython(folder, writesLine),
    device: 'cpu',
    how: ['eager', 'compile'],
    paddings: ['longest', 'max128'],
    precision: 'bf16',
    steps: 2,
    warmup: 1,
    signal: new AbortController().signal,
  }
  const report = await runGpuBench(options(folder, { peers, models: ['8'], workloads: ['equal', 'sst2'] }))
  t.deepEqual(
    report.peers.map(({ how, padding, turns, peakMiB }) => [how, padding, turns.length, peakMiB]),
    [
      ['eager', undefined, 2, 12],
      ['eager', 'longest', 2, 12],
      ['eager', 'max128', 2, 12],
    ],
  )
  t.is(report.peers[0]!.tokensPerSecond, 128_000)
  const [ratio] = report.ratios
  t.like(ratio, { ...job, over: 'torch eager' })
  t.true(Math.abs(ratio!.ratio / (report.results[0]!.tokensPerSecond.median / 128_000) - 1) < 0.01)
  t.deepEqual(
    report.failed.map(({ job: name }) => name),
    [
      'tiny, equal, 2 rows, 8, torch, compile',
      'tiny, sst2, 2 rows, 8, torch, compile, longest',
      'tiny, sst2, 2 rows, 8, torch, compile, max128',
    ],
  )
  t.regex(report.failed[0]!.reason, /ended with 3: Traceback \| no compiler here/)
  t.regex(printGpuReport(report), /torch eager, longest/)
})

test('why PyTorch is left out is said', async (t) => {
  const folder = await temporaryFolder(t)
  t.regex((await whyNoPeers({ peers: folder, python: 'python3' }))!, /torch_cuda\.py is not there/)
  await writeFile(join(folder, 'torch_cuda.py'), '')
  t.regex((await whyNoPeers({ peers: folder, python: join(folder, 'no') }))!, /ENOENT/)
  const python = await fakePython(folder, 'console.error("no module named torch"); process.exit(1)')
  t.regex((await whyNoPeers({ peers: folder, python }))!, /no module named torch/)
  const stop = new AbortController()
  stop.abort(new Error('enough'))
  const peers = {
    peers: folder,
    python,
    device: 'cpu',
    how: ['eager'],
    paddings: [],
    precision: 'bf16',
    steps: 1,
    warmup: 1,
  } as const
  const workload = makeWorkload('equal', { batchSize: 1, positions: 8, vocabulary: 50, batches: 1 })
  await t.throwsAsync(measurePeers(job, workload, { ...peers, signal: stop.signal }, () => t.fail()))
})

test('a stop keeps what was measured', async (t) => {
  const stop = new AbortController()
  const report = await runGpuBench(
    options(await temporaryFolder(t), { signal: stop.signal, save: () => Promise.resolve(stop.abort()) }),
  )
  t.false(report.complete)
  t.is(report.results.length, 1)
})

test('jobs are all combinations; switches are taken out of the arguments', (t) => {
  t.is(
    gpuJobs({ shapes: ['base', 'large'], workloads: ['equal', 'squad'], rows: [32, 256], models: ['8', 'full'] })
      .length,
    16,
  )
  t.deepEqual(switches(['quick'], ['--quick', '--rows', '2']), { quick: true, args: ['--rows', '2'] })
})

const program = packagePath('dist-test', 'bench', 'gpu.js')
const lacksGpuAbsence = describe().cuda.ok ? 'there is a GPU here' : undefined

testUnless(lacksGpuAbsence, 'without a GPU the program says so, and what to do', async (t) => {
  const error = await t.throwsAsync(promisify(execFile)(process.execPath, [program, '--quick']))
  const { code, stderr } = error as unknown as { code: number; stderr: string }
  t.is(code, 1)
  t.regex(stderr, /^bench:gpu: device 'cuda:0' cannot be used: .*\nIt needs an NVIDIA GPU.*--device cpu tries it/)
})

test('the program tries all on a CPU, into a file', async (t) => {
  const folder = await temporaryFolder(t)
  const output = join(folder, 'gpu.json')
  const what = ['--device', 'cpu', '--shapes', 'tiny', '--models', '8', '--rows', '1', '--quick', '--milliseconds', '1']
  const { stdout } = await promisify(execFile)(process.execPath, [
    program,
    ...what,
    '--batches',
    '1',
    '--output',
    output,
  ])
  t.regex(stdout, /tiny equal 1 8/)
  const report = JSON.parse(await readFile(output, 'utf8')) as GpuReport
  t.like(report, { kind: 'gpu', complete: true, skipped: ['PyTorch: not asked for (--peers FOLDER --python PYTHON)'] })
  await t.throwsAsync(promisify(execFile)(process.execPath, [program, ...what, '--rows', '0']), {
    message: /--rows: expected a whole number above 0/,
  })
})
