import { table } from '../table.js'
import { phases, type Phase } from './phases.js'
import type { BenchReport, BenchResult } from './bench.js'
import { sum } from './statistics.js'

const headings: Readonly<Record<Phase, string>> = {
  forward: 'forward',
  adapterForward: 'adapters',
  backward: 'backward',
  adapterBackward: 'adapters back',
  optimizer: 'optimizer',
  other: 'other',
}

/** The report as tables for people: rates, where a training step goes, and memory. */
export function printBenchReport(report: BenchReport): string {
  const { machine, backbone, settings, threads, roof } = report
  const head = [
    `onnx-adapters ${machine.version}, ${machine.cpu} (${machine.isa}), ${threads} threads, ${machine.date}`,
    `${backbone.name}: ${backbone.layers} layers, hidden ${backbone.hidden}; batches of ${settings.batchSize} rows, ` +
      `dropout ${settings.dropout}, ${settings.pool} pooling`,
    `roof: ${(roof.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s of fused multiply-adds in registers, all threads together`,
  ]
  const parts = Object.entries(report.workloads).map(([name, description]) => {
    const results = report.results.filter(({ workload }) => workload === name)
    return [`${name}: ${description}`, ratesTable(results), splitTable(results), bytesTable(results)].join('\n\n')
  })
  return [head.join('\n'), ...parts, footnote].join('\n\n')
}

const footnote =
  'tokens: real ones, there is no padding. adapters: with the dropout, residual and LayerNorm that are fused into them. ' +
  'other: packing the batch, and to the native thread and back.'

function ratesTable(results: readonly BenchResult[]): string {
  const rows = results.map(({ variant, trainedParameters, training, inference }) => [
    variant,
    whole(trainedParameters),
    whole(training.tokensPerSecond.median),
    `${whole(training.tokensPerSecond.p10)}-${whole(training.tokensPerSecond.p90)}`,
    training.rowsPerSecond.median.toFixed(1),
    percent(training.shareOfRoof),
    whole(inference.tokensPerSecond.median),
    inference.rowsPerSecond.median.toFixed(1),
    percent(inference.shareOfRoof),
  ])
  const header = [
    '',
    'trained',
    'train tokens/s',
    'p10-p90',
    'rows/s',
    'of roof',
    'infer tokens/s',
    'rows/s',
    'of roof',
  ]
  return table([header, ...rows], 'right')
}

function splitTable(results: readonly BenchResult[]): string {
  const rows = results.map(({ variant, training: { split } }) => [
    variant,
    split.total.toFixed(1),
    ...phases.map((phase) => {
      const milliseconds = split.milliseconds[phase]
      return milliseconds === undefined ? '-' : `${milliseconds.toFixed(1)} (${percent(split.share[phase]!)})`
    }),
  ])
  return table([['training step, ms', 'total', ...phases.map((phase) => headings[phase])], ...rows], 'right')
}

function bytesTable(results: readonly BenchResult[]): string {
  const names = {
    frozen: 'frozen',
    packedTransposes: 'transposes',
    trained: 'trained',
    gradients: 'gradients',
    moments: 'moments',
    activations: 'activations',
    scratch: 'scratch',
  } as const
  const rows = results.map(({ variant, bytes }) => {
    const values = (Object.keys(names) as (keyof typeof names)[]).map((name) => bytes[name])
    return [variant, ...[...values, sum(values)].map((value) => (value / 2 ** 20).toFixed(1))]
  })
  return table([['memory, MiB', ...Object.values(names), 'all'], ...rows], 'right')
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`
}
