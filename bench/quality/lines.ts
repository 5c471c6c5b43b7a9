import { taskRule, type Recipe } from './recipe.js'

/** A finished run of either engine, as far as a comparison needs it. Metrics are 0 to 1 (Matthews -1 to 1). */
export interface QualityRun extends Recipe {
  readonly engine: 'onnx-adapters' | 'torch'
  /** Main metric of the best epoch. */
  readonly best: number
  readonly byEpoch: readonly number[]
  readonly seconds?: number
  readonly trainedParameters?: number
}

/** Lines of JSON; Python's NaN and Infinity become null; a last line that a kill cut short is passed over. */
export function parseLines(text: string): Record<string, unknown>[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.flatMap((line, i) => {
    try {
      return [JSON.parse(line.replace(/: -?(NaN|Infinity)\b/g, ': null')) as Record<string, unknown>]
    } catch (error) {
      if (i === lines.length - 1) return []
      throw new Error(`line ${i + 1} is not JSON`, { cause: error })
    }
  })
}

/** Our lines, as bench/quality.ts appends them. */
export function ourRuns(text: string): QualityRun[] {
  return parseLines(text) as unknown as QualityRun[]
}

interface TorchLine {
  readonly task: string
  readonly model: string
  readonly settings: { readonly lr: number; readonly epochs: number; readonly seed: number }
  readonly epochs: readonly { readonly main: number }[]
  readonly wall_seconds?: number
  readonly trained_parameters?: number
}

/** Lines that the PyTorch scripts' sweep appends. */
export function torchRuns(text: string): QualityRun[] {
  return (parseLines(text) as unknown as TorchLine[]).map((line) => {
    const byEpoch = line.epochs.map(({ main }) => main)
    return {
      engine: 'torch',
      task: line.task,
      model: line.model,
      learningRate: line.settings.lr,
      epochs: line.settings.epochs,
      seed: line.settings.seed,
      best: Math.max(...byEpoch.filter((value) => Number.isFinite(value))),
      byEpoch,
      seconds: line.wall_seconds,
      trainedParameters: line.trained_parameters,
    }
  })
}

/** Names of metrics as the table of earlier PyTorch results writes them. */
const tableNames: Readonly<Record<string, string>> = { matthews: 'mcc' }

/** Rows `| task | model | rate | epochs | seed | best | by epoch |` of a Markdown table of PyTorch results. */
export function torchTable(markdown: string): QualityRun[] {
  return markdown.split('\n').flatMap((line): QualityRun[] => {
    const cells = line.split('|').map((cell) => cell.trim())
    const [, task = '', model = '', rate, epochs, seed, best = '', byEpoch = ''] = cells
    if (cells.length !== 9 || !/^\d+$/.test(seed ?? '')) return []
    const values = taskRule(task).main.map((name) => {
      const match = new RegExp(`\\b${tableNames[name] ?? name} (-?[\\d.]+)`).exec(best)
      if (!match) throw new Error(`table row "${line}": no ${name}`)
      return Number(match[1])
    })
    return [
      {
        engine: 'torch',
        task,
        model: model.replace(/^adapters /, ''),
        learningRate: Number(rate),
        epochs: Number(epochs),
        seed: Number(seed),
        best: values.reduce((sum, value) => sum + value, 0) / values.length,
        byEpoch: byEpoch.split(' ').map(Number),
      },
    ]
  })
}
