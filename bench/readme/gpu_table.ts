import { sum } from '../../lib/bench/statistics.js'
import { gpuJobName, type GpuJob } from '../gpu/job.js'
import type { GpuReport } from '../gpu/report.js'
import type { Named } from './results.js'
import { markdownTable, modelTitle, wholeNumber } from './markdown.js'

const shapeTitles = { base: 'BERT-base', large: 'BERT-large', tiny: 'a tiny BERT' } as const
const workloadTitles = { equal: '128 tokens a row', sst2: 'SST-2', mrpc: 'MRPC', squad: 'SQuAD' } as const

/** One row per configuration of one file: our rate and share, and how many times PyTorch's it is. */
export function gpuTable({ file, report }: Named<GpuReport>): string {
  const ways = [...new Set(report.ratios.map(({ over }) => over.split(',')[0]!))]
  const rows = report.results.map((each) => [
    [shapeTitles[each.shape], workloadTitles[each.workload], `${each.rows} rows`].join(', '),
    modelTitle(each.model),
    each.milliseconds.median.toFixed(2),
    wholeNumber(each.tokensPerSecond.median),
    `${Math.round(100 * each.shareOfProducts)} %`,
    wholeNumber(sum(Object.values(each.bytes)) / 2 ** 20),
    ...ways.map((way) => bestRatio(report, each, way)),
  ])
  const header = [
    '',
    'trained',
    'ms a step',
    'tokens/s',
    'of cuBLASLt',
    'MiB',
    ...ways.map((way) => `over ${way.replace('torch', 'PyTorch')}`),
  ]
  const { gpu, machine, settings } = report
  const on = gpu
    ? `${gpu.name}, driver ${gpu.driver ?? 'unknown'}, CUDA ${gpu.toolkit}, cuBLASLt ${gpu.cublaslt}`
    : `not measured on a GPU, but on ${machine.cpu} (${machine.isa})`
  return [
    `Training on a GPU, real tokens a second (median over steps, ${settings.turns} turns${ways.length > 0 ? ', PyTorch in turns on the same GPU, ' + 'bf16 autocast, batches padded to their longest row' : ''}); ` +
      'the share is of the rate of cuBLASLt alone at the same shapes, measured in the same run:',
    markdownTable(header, rows),
    `${on}, precision ${report.precision}, ${machine.date}: [\`${file}\`](${file}).`,
  ].join('\n\n')
}

/** Against the quickest of its ways to pad. */
function bestRatio({ ratios }: GpuReport, job: GpuJob, way: string): string {
  const found = ratios.filter((each) => each.over.split(',')[0] === way && gpuJobName(each) === gpuJobName(job))
  if (found.length === 0) return ''
  return `**${Math.min(...found.map(({ ratio }) => ratio)).toFixed(1)}x**`
}
