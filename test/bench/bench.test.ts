import test from 'ava'
import { bench, type BenchReport } from '../../lib/bench/bench.js'
import { countFlops } from '../../lib/bench/flops.js'
import { lengthCounts } from '../../lib/bench/lengths.js'
import { phases, splitStep } from '../../lib/bench/phases.js'
import { printBenchReport } from '../../lib/bench/print.js'
import { summariseSteps } from '../../lib/bench/rates.js'
import { quantile, sum } from '../../lib/bench/statistics.js'
import { syntheticBackbone } from '../../lib/bench/synthetic.js'
import { makeVariants } from '../../lib/bench/variant.js'
import { lengthSampler, makeWorkload } from '../../lib/bench/workload.js'
import { Trainer } from '../../lib/index.js'
import { compileEncoder } from '../../lib/train/compile.js'
import { tinyBackbone } from '../support/tiny_encoder.js'

const backbone = tinyBackbone()
function run(options: Parameters<typeof bench>[0] = {}): Promise<BenchReport> {
  return bench({ backbone, sizes: [2, 4], workloads: ['sst2'], batchSize: 2, seconds: 0.01, rounds: 2, ...options })
}

test('every variant has rates, a split that adds up, and bytes by kind', async (t) => {
  const seen: string[] = []
  const report = await run({
    workloads: ['sst2', 'equal'],
    threads: 1,
    onProgress: ({ done, total, variant, workload }) => seen.push(`${done}/${total} ${workload} ${variant}`),
  })
  const variants = ['adapters 2', 'adapters 4', 'full', 'top-1', 'layernorm', 'head']
  t.deepEqual(
    report.results.map(({ workload, variant }) => `${workload} ${variant}`),
    ['sst2', 'equal'].flatMap((workload) => variants.map((variant) => `${workload} ${variant}`)),
  )
  t.is(seen.length, 2 * 2 * variants.length)
  t.is(seen.at(-1), '24/24 equal head')
  t.like(report, { format: 1, kind: 'throughput', threads: 1 })
  for (const { variant, training, inference, bytes, trainedParameters } of report.results) {
    for (const { steps, tokensPerSecond: rate, rowsPerSecond, shareOfRoof, split } of [training, inference]) {
      t.true(steps >= 2)
      t.true(rate.p10 <= rate.median && rate.median <= rate.p90 && rate.p10 > 0)
      t.true(rowsPerSecond.median > 0 && rowsPerSecond.median < rate.median)
      t.true(shareOfRoof > 0 && shareOfRoof < 1, `${variant}: ${shareOfRoof}`)
      const total = sum(Object.values(split.milliseconds))
      t.true(Math.abs(total - split.total) < 1e-9, `${total} of ${split.total}`)
      t.true(Math.abs(sum(Object.values(split.share)) - 1) < 0.01)
      t.true(Object.values(split.milliseconds).every((time) => time >= 0))
    }
    const parts = Object.keys(training.split.milliseconds)
    t.is(parts.includes('adapterForward'), variant.startsWith('adapters'))
    t.true(parts.includes('optimizer'))
    t.false(Object.keys(inference.split.milliseconds).some((part) => /backward|optimizer/i.test(part)))
    t.is(bytes.moments, 2 * bytes.gradients)
    // Places of tensors are rounded up to cache lines.
    t.true(bytes.trained >= 4 * trainedParameters)
  }
})

test('the report is JSON that comes back the same, and prints as tables', async (t) => {
  const report = await run({ modes: ['adapters', 'top-2'] })
  t.deepEqual(JSON.parse(JSON.stringify(report)), report)
  t.regex(report.machine.date, /^\d{4}-\d\d-\d\d$/)
  t.regex(report.roof.definition, /multiply-add/)
  const text = printBenchReport(report)
  for (const expected of ['adapters 4', 'top-2', 'train tokens/s', 'of roof', 'optimizer', 'MiB'])
    t.true(text.includes(expected), expected)
})

test('bytes are those of a trainer', async (t) => {
  const report = await run({ modes: ['adapters'], sizes: [4], rounds: 1, workloads: ['equal'], batchSize: 4 })
  await using trainer = await Trainer.create({
    backbone,
    task: { kind: 'classification', outputs: 2 },
    adapter: { size: 4 },
    head: { pool: 'mean' },
  })
  const [result] = report.results
  t.is(result!.trainedParameters, trainer.trainedParameters)
  t.is(trainer.memory().parameters, result!.bytes.trained + result!.bytes.gradients + result!.bytes.moments)
})

test('wrong options are refused before any work', async (t) => {
  const wrong: [object, RegExp][] = [
    [{ size: [8] }, /unknown option "size"; did you mean "sizes"/],
    [{ sizes: [0] }, /"sizes".*not 0/],
    [{ sizes: [8, 8] }, /adapters 8.*twice/],
    [{ modes: ['ful'] }, /did you mean "full"/],
    [{ modes: ['top-0'] }, /not 0/],
    [{ modes: ['top-K'] }, /"modes"/],
    [{ workloads: ['sst'] }, /did you mean "sst2"/],
    [{ seconds: 0 }, /above 0/],
    [{ shape: 'bert-huge' }, /minilm, bert-base, bert-large/],
    [{ device: 'gpu' }, /auto, cpu, cuda/],
    [{ backbone: 7 }, /a folder/],
  ]
  for (const [options, message] of wrong)
    await t.throwsAsync(bench(options as never), { code: 'ERR_OPTION', message }, JSON.stringify(options))
})

test('a signal stops the benchmark after the step under way', async (t) => {
  const stop = new AbortController()
  const running = run({ seconds: 60, signal: stop.signal })
  setTimeout(() => stop.abort(new Error('enough')), 50)
  await t.throwsAsync(running, { message: 'enough' })
})

test('lengths come with the frequencies of the histogram, the same each time', (t) => {
  const pick = lengthSampler([0, 0, 3, 1])
  t.deepEqual([0, 0.74, 0.75, 0.999].map(pick), [2, 2, 3, 3])
  t.throws(() => lengthSampler([0, 0]), { code: 'ERR_OPTION' })
  const options = { batchSize: 32, positions: 512, vocabulary: 30522 }
  for (const [name, counts] of Object.entries(lengthCounts)) {
    const workload = makeWorkload(name as keyof typeof lengthCounts, options)
    t.deepEqual(makeWorkload(workload.name, options), workload)
    const lengths = workload.batches.flatMap(({ inputIds }) => inputIds.map((row) => row.length))
    t.is(lengths.length, 32 * workload.batches.length)
    const mean = sum(counts.map((count, length) => count * length)) / sum(counts)
    t.true(Math.abs(sum(lengths) / lengths.length / mean - 1) < 0.05, `${name}: ${sum(lengths) / lengths.length}`)
    t.true(workload.description.includes(`${mean.toFixed(1)} tokens`))
    t.true(lengths.every((length) => counts[length]! > 0))
  }
  const short = makeWorkload('equal', { ...options, positions: 40, vocabulary: 60 })
  t.true(
    short.batches.every(({ inputIds }) =>
      inputIds.every((row) => row.length === 40 && Math.max(...Array.from(row)) < 60),
    ),
  )
})

test('variants are options of a trainer', (t) => {
  t.deepEqual(makeVariants(['adapters', 'top-2'], [1, 8]), [
    { name: 'adapters 1', size: 1, options: { adapter: { size: 1 } } },
    { name: 'adapters 8', size: 8, options: { adapter: { size: 8 } } },
    { name: 'top-2', options: { adapter: false, trainable: { topLayers: 2 } } },
  ])
})

test('operations are those of the matrices, and attention counts the squares of the lengths', (t) => {
  const { entries } = compileEncoder(backbone.imported)
  const nodes = entries[0]!.nodes
  const linears = nodes.filter(({ op }) => op === 'linear')
  const [C, F, layers] = [16, 32, 2]
  t.is(countFlops(linears, [3, 4]), 2 * 7 * layers * (4 * C * C + 2 * C * F))
  const attention = nodes.filter(({ op }) => op === 'attention')
  // q·kᵀ and p·v, two operations each.
  t.is(countFlops(attention, [5, 5, 5]), layers * 3 * 4 * 5 ** 2 * C)
  t.is(Math.round(countFlops(attention, [1, 5, 9])), layers * 4 * (1 + 25 + 81) * C)
})

test('a step is cut into its parts without rest', (t) => {
  const split = splitStep(10, Float64Array.of(1, 2, 3), ['forward', 'adapterForward', 'forward'])
  t.deepEqual(split, { forward: 4, adapterForward: 2, backward: 0, adapterBackward: 0, optimizer: 0, other: 4 })
  t.is(sum(phases.map((phase) => split[phase])), 10)
  const step = { tokens: 20, rows: 2, milliseconds: 10, flops: 1e6, split }
  const rates = summariseSteps([step, { ...step, tokens: 40 }, step], 1e9)
  t.deepEqual(rates.tokensPerSecond, { median: 2000, p10: 2000, p90: 3600 })
  t.like(rates, { steps: 3, flopsPerSecond: 1e8, shareOfRoof: 0.1 })
  t.deepEqual(rates.split.share, { forward: 0.4, adapterForward: 0.2, other: 0.4 })
  t.is(quantile([4, 1, 3, 2], 0.5), 2.5)
})

test('random weights have the size of the published model', (t) => {
  const synthetic = syntheticBackbone('minilm')
  t.is(synthetic.config.parameters, 22_713_216)
  t.is(synthetic.config.layers, 6)
})
