/** What the steps of a training took, evaluation not counted. */
export interface Spent {
  readonly steps: number
  readonly rows: number
  /** Real ones. */
  readonly tokens: number
  readonly milliseconds: number
}

export interface Throughput {
  /** Real tokens a second, evaluation not counted. */
  readonly tokensPerSecond: number
  readonly rowsPerSecond: number
  readonly stepsPerSecond: number
  /** Seconds spent in steps. */
  readonly seconds: number
}

export const nothingSpent: Spent = { steps: 0, rows: 0, tokens: 0, milliseconds: 0 }

export function addStep(spent: Spent, rows: number, tokens: number, milliseconds: number): Spent {
  return {
    steps: spent.steps + 1,
    rows: spent.rows + rows,
    tokens: spent.tokens + tokens,
    milliseconds: spent.milliseconds + milliseconds,
  }
}

export function throughputOf({ steps, rows, tokens, milliseconds }: Spent): Throughput {
  const seconds = milliseconds / 1000
  return { tokensPerSecond: tokens / seconds, rowsPerSecond: rows / seconds, stepsPerSecond: steps / seconds, seconds }
}
