import type { BenchReport } from '../../lib/bench/bench.js'
import type { PeerWorkload } from '../peers/jobs.js'
import type { PeersReport } from '../peers/report.js'
import type { Results } from './results.js'
import { modelTitle } from './markdown.js'
import { engineTitles, workloadTitles } from './tables.js'

/** Bars of one workload: for each model one bar of each series that has it. */
export interface Panel {
  readonly title: string
  readonly groups: readonly { readonly title: string; readonly bars: readonly Bar[] }[]
}

export interface Bar {
  /** Index in the plot's series. */
  readonly series: number
  /** Real tokens a second. */
  readonly value: number
}

export interface Plot {
  readonly title: string
  readonly series: readonly string[]
  readonly panels: readonly Panel[]
}

/** What the newest results say: ours beside the others, or else ours alone; undefined without results. */
export function choosePlot({ peers, throughput }: Results): Plot | undefined {
  const beside = peers.at(-1)
  if (beside) return peersPlot(beside.report)
  const alone = throughput.at(-1)
  return alone && throughputPlot(alone.report)
}

function peersPlot({ rates }: PeersReport): Plot {
  const nameOf = ({ engine, padding }: (typeof rates)[number]) => [engine, padding].filter(Boolean).join(' ')
  // Equal lengths need no padding: the bar stands with those of the tightest padding.
  const seriesOf = (rate: (typeof rates)[number]) => (nameOf(rate) === 'torch' ? 'torch bucketed' : nameOf(rate))
  const order = ['onnx-adapters', 'torch bucketed', 'torch longest', 'adapterhub bucketed', 'peft-lora bucketed']
  const shown = order.filter((name) => rates.some((rate) => seriesOf(rate) === name))
  // LoRA's rank is no adapter size: it stands beside size 64, its usual rival.
  const models = [...new Set(rates.filter(({ engine }) => engine === 'onnx-adapters').map(({ model }) => model))]
  const modelOf = ({ engine, model }: (typeof rates)[number]) => (engine === 'peft-lora' ? '64' : model)
  const panels = (Object.keys(workloadTitles) as PeerWorkload[])
    .filter((workload) => rates.some((rate) => rate.workload === workload))
    .map((workload) => ({
      title: workloadTitles[workload],
      groups: models.map((model) => ({
        title: modelTitle(model),
        bars: shown.flatMap((name, series): Bar[] => {
          const rate = rates.find(
            (each) => each.workload === workload && modelOf(each) === model && seriesOf(each) === name,
          )
          return rate ? [{ series, value: rate.median }] : []
        }),
      })),
    }))
  return { title: 'Training speed, real tokens a second', series: shown.map((name) => engineTitles[name]!), panels }
}

function throughputPlot({ results, workloads }: BenchReport): Plot {
  const names = (Object.keys(workloadTitles) as PeerWorkload[]).filter((name) => name in workloads)
  const panels = names.map((name) => ({
    title: workloadTitles[name],
    groups: results
      .filter(({ workload }) => workload === name)
      .map(({ variant, training, inference }) => ({
        title: modelTitle(variant.replace(/^adapters /, '')),
        bars: [training, inference].map((rates, series) => ({ series, value: rates.tokensPerSecond.median })),
      })),
  }))
  return { title: 'Speed, real tokens a second', series: ['training', 'inference'], panels }
}
