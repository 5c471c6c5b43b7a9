import type { BenchReport, BenchResult } from '../../lib/bench/bench.js'
import { sum } from '../../lib/bench/statistics.js'
import type { Engine, PeerWorkload } from '../peers/jobs.js'
import type { PeersReport } from '../peers/report.js'
import type { Comparison, QualityReport, Sample } from '../quality/summary.js'
import { gpuTable } from './gpu_table.js'
import { markdownTable, modelTitle, wholeNumber } from './markdown.js'
import type { Named, Results } from './results.js'

/** How workloads are called in headings. */
export const workloadTitles: Readonly<Record<PeerWorkload, string>> = {
  sst2: 'SST-2 lengths',
  mrpc: 'MRPC lengths',
  equal: '128 tokens a row',
}

/** How engines are called in headings, by their name and padding in the files. */
export const engineTitles: Readonly<Record<string, string>> = {
  'onnx-adapters': 'onnx-adapters',
  'torch bucketed': 'PyTorch, bucketed by length',
  'torch longest': 'PyTorch, padded to the longest row',
  torch: 'PyTorch',
  'adapterhub bucketed': 'AdapterHub, bucketed',
  'peft-lora bucketed': 'PEFT LoRA r=8, bucketed',
}

/** All tables as Markdown; a sentence where there is no result yet. */
export function makeTables(results: Results): string {
  const parts = [
    ...results.peers.map(peersTable),
    ...results.throughput.map(throughputTable),
    ...results.quality.map(qualityTable),
    ...results.gpu.map(gpuTable),
  ]
  return parts.length === 0 ? 'No results are committed yet.' : parts.join('\n\n')
}

/** Rates of ours and of the others, and what ours is times theirs. */
function peersTable({ file, report }: Named<PeersReport>): string {
  const found = Object.keys(workloadTitles) as PeerWorkload[]
  const workloads = found.filter((workload) => report.rates.some((each) => each.workload === workload))
  const models = [...new Set(report.rates.filter(({ engine }) => engine !== 'peft-lora').map(({ model }) => model))]
  const rows = models.map((model) => {
    const cells = workloads.flatMap((workload) => {
      const ours = median(report, 'onnx-adapters', model, workload)
      const theirs = median(report, 'torch', model, workload, workload === 'equal' ? undefined : 'bucketed')
      return [wholeNumber(ours), wholeNumber(theirs), ours && theirs ? `**${(ours / theirs).toFixed(1)}x**` : '']
    })
    const memory = (['onnx-adapters', 'torch'] as const).map((engine) =>
      wholeNumber(report.memory.find((each) => each.engine === engine && each.model === model)?.peakMiB),
    )
    return [modelTitle(model), ...cells, ...memory]
  })
  const header = [
    '',
    ...workloads.flatMap((workload) => [`${workloadTitles[workload]}: ours`, 'PyTorch', '']),
    'peak MiB: ours',
    'PyTorch',
  ]
  const others = (['adapterhub', 'peft-lora'] as const).flatMap((engine) => {
    const lines = report.rates.filter((each) => each.engine === engine && each.padding === 'bucketed')
    if (lines.length === 0) return []
    const rates = lines.map((each) => `${wholeNumber(each.median)} (${workloadTitles[each.workload]})`).join(', ')
    return [`${engineTitles[`${engine} bucketed`]!.split(',')[0]}: ${rates}`]
  })
  return [
    `Training, real tokens a second (median of ${report.settings.rounds} rounds, engines in turns; PyTorch with batches bucketed by ` +
      'length, the best it gets without packing), and the peak of resident memory:',
    markdownTable(header, rows),
    [...others, source(file, report)].join('. '),
  ].join('\n\n')
}

function median(report: PeersReport, engine: Engine, model: string, workload: PeerWorkload, padding?: string) {
  return report.rates.find(
    (each) => each.engine === engine && each.model === model && each.workload === workload && each.padding === padding,
  )?.median
}

/** One row per variant, over the workloads of one file. */
function throughputTable({ file, report }: Named<BenchReport>): string {
  const workloads = (Object.keys(workloadTitles) as PeerWorkload[]).filter((name) => name in report.workloads)
  const variants = [...new Set(report.results.map(({ variant }) => variant))]
  const last = workloads.at(-1)!
  const rows = variants.map((variant) => {
    const of = (workload: string) =>
      report.results.find((each) => each.variant === variant && each.workload === workload)!
    const { trainedParameters, training, inference, bytes } = of(last)
    return [
      modelTitle(variant.replace(/^adapters /, '')),
      wholeNumber(trainedParameters),
      ...workloads.map((workload) => wholeNumber(of(workload).training.tokensPerSecond.median)),
      `${Math.round(100 * training.shareOfRoof)} %`,
      splitText(training.split.share),
      wholeNumber(inference.tokensPerSecond.median),
      wholeNumber(sum(Object.values(bytes)) / 2 ** 20),
    ]
  })
  const header = [
    '',
    'trained values',
    ...workloads.map((workload) => workloadTitles[workload]),
    'of the roof',
    'forward / adapters / backward / optimizer, %',
    'inference',
    'memory, MiB',
  ]
  const { layers, hidden } = report.backbone
  return [
    `onnx-adapters alone, ${layers} layers of width ${hidden}, training in real tokens a second (median over steps). The four ` +
      `columns on the right are for ${workloadTitles[last]}; the roof is ${(report.roof.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s of ` +
      'fused multiply-adds, measured in the same run; the adapters come with the residual and LayerNorm that are fused into them:',
    markdownTable(header, rows),
    source(file, report),
  ].join('\n\n')
}

/** Adapters in both directions count as adapters. */
function splitText(share: BenchResult['training']['split']['share']): string {
  const { forward = 0, adapterForward = 0, backward = 0, adapterBackward = 0, optimizer = 0 } = share
  return [forward, adapterForward + adapterBackward, backward, optimizer]
    .map((each) => Math.round(100 * each))
    .join(' / ')
}

function qualityTable({ file, report }: Named<QualityReport>): string {
  const compared = report.comparisons.filter(({ ours }) => ours)
  const rows = compared.map((each) => [
    each.task,
    modelTitle(each.model),
    `${each.learningRate}, ${each.epochs}`,
    points(each.ours),
    points(each.torch),
    difference(each),
  ])
  const header = ['task', 'trained', 'rate, epochs', 'ours', 'PyTorch', 'difference']
  return [
    'Quality on the dev sets, mean ± standard error over seeds (their number), points: Matthews correlation for CoLA, the mean ' +
      'of Pearson and Spearman for STS-B, else accuracy:',
    markdownTable(header, rows),
    source(file, report),
  ].join('\n\n')
}

function points(sample: Sample | undefined): string {
  if (!sample) return ''
  const error = sample.standardError === null ? '' : ` ± ${sample.standardError.toFixed(1)}`
  return `${sample.mean.toFixed(1)}${error} (${sample.n})`
}

function difference({ difference: value, passes }: Comparison): string {
  if (value === undefined) return ''
  return `${value > 0 ? '+' : ''}${value.toFixed(1)}${passes ? '' : ' (below)'}`
}

function source(file: string, { machine, threads }: Pick<BenchReport, 'machine' | 'threads'>): string {
  return `${machine.cpu} (${machine.isa}), ${threads} threads, ${machine.date}: [\`${file}\`](${file}).`
}
