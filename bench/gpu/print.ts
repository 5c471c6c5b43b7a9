import { table } from '../../lib/table.js'
import { sum } from '../../lib/bench/statistics.js'
import type { GpuReport } from './report.js'

/** The report as tables for people. */
export function printGpuReport(report: GpuReport): string {
  const { gpu, machine, precision, settings } = report
  const on = gpu
    ? `${gpu.name}, driver ${gpu.driver ?? '?'}, CUDA ${gpu.toolkit}, cuBLASLt ${gpu.cublaslt}`
    : `${machine.cpu} (${machine.isa}): not a GPU`
  const parts = [
    `onnx-adapters ${machine.version} on ${on}; precision ${precision}, ${settings.turns} turns, ${machine.date}`,
    oursTable(report),
    ...(report.ratios.length > 0 ? [peersTable(report)] : []),
    ...report.skipped.map((line) => `skipped: ${line}`),
    ...report.failed.map(({ job, reason }) => `failed: ${job}: ${reason}`),
  ]
  return parts.join('\n\n')
}

function oursTable({ results }: GpuReport): string {
  const rows = results.map((each) => {
    const { split } = each
    const part = (name: keyof typeof split.share) => `${Math.round(100 * (split.share[name] ?? 0))}`
    return [
      `${each.shape} ${each.workload} ${each.rows} ${each.model}`,
      each.tokensPerStep.toLocaleString('en-US'),
      each.milliseconds.median.toFixed(2),
      `${each.milliseconds.p10.toFixed(2)}-${each.milliseconds.p90.toFixed(2)}`,
      Math.round(each.tokensPerSecond.median).toLocaleString('en-US'),
      (each.flopsPerSecond / 1e12).toFixed(2),
      `${(100 * each.shareOfProducts).toFixed(0)} %`,
      [
        part('forward'),
        part('adapterForward'),
        part('backward'),
        part('adapterBackward'),
        part('optimizer'),
        part('other'),
      ].join('/'),
      (sum(Object.values(each.bytes)) / 2 ** 20).toFixed(0),
    ]
  })
  const header = [
    '',
    'tokens a step',
    'ms',
    'p10-p90',
    'tokens/s',
    'TFLOP/s',
    'of cuBLASLt',
    'fwd/adapt/bwd/adapt/opt/other %',
    'MiB',
  ]
  return table([header, ...rows], 'right')
}

function peersTable({ peers, ratios }: GpuReport): string {
  const rows = peers.map((each, i) => [
    `${each.shape} ${each.workload} ${each.rows} ${each.model}`,
    ratios[i]?.over ?? `torch ${each.how}`,
    each.milliseconds.toFixed(2),
    Math.round(each.tokensPerSecond).toLocaleString('en-US'),
    each.peakMiB === undefined ? '-' : each.peakMiB.toFixed(0),
    ratios[i] ? `${ratios[i].ratio}x` : '-',
  ])
  return table([['', 'engine', 'ms', 'tokens/s', 'peak MiB', 'ours is'], ...rows], 'right')
}
