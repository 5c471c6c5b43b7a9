import type { Machine } from '../../lib/bench/machine.js'
import { table } from '../../lib/table.js'
import { recipeKey, type Recipe } from './recipe.js'
import type { QualityRun } from './lines.js'

/** Mean over seeds, in points (hundredths). */
export interface Sample {
  readonly n: number
  readonly mean: number
  /** Of the mean; null for a single seed. */
  readonly standardError: number | null
  /** By seed. */
  readonly values: Readonly<Record<string, number>>
}

/** One recipe in both engines. */
export interface Comparison extends Omit<Recipe, 'seed'> {
  readonly ours?: Sample
  readonly torch?: Sample
  /** Ours less theirs, points. */
  readonly difference?: number
  readonly standardErrorOfDifference?: number | null
  /** How far below ours may be: 0.5, or two standard errors of the difference if that is more. */
  readonly allowed?: number
  readonly passes?: boolean
}

/** The best recipe of adapters against the best of full fine-tuning, in our own engine. */
export interface AgainstFull {
  readonly task: string
  readonly adapters: string
  readonly full: string
  readonly difference: number
  readonly allowed: 1
  readonly passes: boolean
}

export interface QualitySummary {
  readonly comparisons: readonly Comparison[]
  readonly againstFull: readonly AgainstFull[]
}

/** The document that bench/quality_summary.ts writes. */
export interface QualityReport extends QualitySummary {
  readonly format: 1
  readonly kind: 'quality'
  readonly what: string
  readonly rule: string
  readonly machine: Machine
  readonly threads: number
  readonly pool: string
}

/** The rule of `passes`, in words, for the file. */
export const rule =
  'ours passes where its mean is at least the PyTorch mean less max(0.5, two standard errors of the difference), points; ' +
  'adapters pass against full fine-tuning of the same engine where their mean is at most 1.0 below'

/** Joins the runs of both engines by recipe. Of two runs with the same recipe and seed the later one counts. */
export function summarise(runs: readonly QualityRun[]): QualitySummary {
  const unique = [...new Map(runs.map((run) => [`${run.engine} ${recipeKey(run)}`, run])).values()]
  const keys = [...new Set(unique.map(groupKey))]
  const comparisons = keys.map((key) => compare(unique.filter((run) => groupKey(run) === key)))
  return { comparisons, againstFull: againstFull(comparisons) }
}

/** All but the seed. */
function groupKey({ task, model, learningRate, epochs }: Omit<Recipe, 'seed'>): string {
  return `${task}:${model}:${learningRate}:${epochs}`
}

function compare(runs: readonly QualityRun[]): Comparison {
  const { task, model, learningRate, epochs } = runs[0]!
  const ours = sample(runs.filter(({ engine }) => engine === 'onnx-adapters'))
  const torch = sample(runs.filter(({ engine }) => engine === 'torch'))
  const recipe = { task, model, learningRate, epochs }
  if (!ours || !torch) return { ...recipe, ours, torch }
  const difference = round(ours.mean - torch.mean)
  const error =
    ours.standardError === null || torch.standardError === null
      ? null
      : round(Math.hypot(ours.standardError, torch.standardError))
  const allowed = Math.max(0.5, 2 * (error ?? 0))
  return {
    ...recipe,
    ours,
    torch,
    difference,
    standardErrorOfDifference: error,
    allowed: round(allowed),
    passes: difference >= -allowed,
  }
}

function sample(runs: readonly QualityRun[]): Sample | undefined {
  if (runs.length === 0) return undefined
  const sorted = [...runs].sort((a, b) => a.seed - b.seed)
  const points = sorted.map(({ best }) => 100 * best)
  const n = points.length
  const mean = points.reduce((sum, x) => sum + x, 0) / n
  const variance = points.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1)
  return {
    n,
    mean: round(mean),
    standardError: n > 1 ? round(Math.sqrt(variance / n)) : null,
    values: Object.fromEntries(sorted.map(({ seed }, i) => [seed, round(points[i]!)])),
  }
}

function againstFull(comparisons: readonly Comparison[]): AgainstFull[] {
  const tasks = [...new Set(comparisons.map(({ task }) => task))]
  return tasks.flatMap((task): AgainstFull[] => {
    const own = comparisons.filter((each) => each.task === task && each.ours)
    const adapters = best(own.filter(({ model }) => /^\d+$/.test(model)))
    const full = best(own.filter(({ model }) => model === 'full'))
    if (!adapters || !full) return []
    const difference = round(adapters.ours!.mean - full.ours!.mean)
    return [
      { task, adapters: groupKey(adapters), full: groupKey(full), difference, allowed: 1, passes: difference >= -1 },
    ]
  })
}

function best(comparisons: readonly Comparison[]): Comparison | undefined {
  return [...comparisons].sort((a, b) => b.ours!.mean - a.ours!.mean)[0]
}

function round(value: number): number {
  return Math.round(1000 * value) / 1000
}

/** The summary as lines for people. */
export function printSummary({ comparisons, againstFull: full }: QualitySummary): string {
  const text = (sampleOf?: Sample) =>
    sampleOf
      ? `${sampleOf.mean.toFixed(2)} ± ${(sampleOf.standardError ?? NaN).toFixed(2)} (${sampleOf.n})`.replace(
          'NaN',
          '-',
        )
      : '-'
  const rows = comparisons.map((each) => {
    const verdict = each.passes === undefined ? '' : each.passes ? 'passes' : 'FAILS'
    const difference =
      each.difference === undefined ? '' : `${each.difference.toFixed(2)} (allowed -${each.allowed!.toFixed(2)})`
    return [groupKey(each), text(each.ours), text(each.torch), difference, verdict]
  })
  const against = full.map(
    (each) =>
      `${each.adapters} against ${each.full}: ${each.difference.toFixed(2)} (allowed -1.00) ${each.passes ? 'passes' : 'FAILS'}`,
  )
  return [table([['recipe', 'ours', 'torch', 'difference'], ...rows]), ...against].join('\n')
}
