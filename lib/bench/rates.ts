import { phases, type Phase } from './phases.js'
import { quantiles, significant, sum, type Quantiles } from './statistics.js'
import type { StepTimes } from './subject.js'

/** What one kind of step does, over all that were measured. */
export interface Rates {
  readonly steps: number
  /** Real tokens; over the steps. */
  readonly tokensPerSecond: Quantiles
  readonly rowsPerSecond: Quantiles
  /** Of a step, as its caller sees it. */
  readonly milliseconds: Quantiles
  /** Counted operations over time, of all steps together. */
  readonly flopsPerSecond: number
  /** Of the roof, 0 to 1. */
  readonly shareOfRoof: number
  /** Means over the steps: milliseconds of each part and their share, 0 to 1. The parts add up to `total`. */
  readonly split: {
    readonly total: number
    readonly milliseconds: Readonly<Partial<Record<Phase, number>>>
    readonly share: Readonly<Partial<Record<Phase, number>>>
  }
}

/**
 * @param steps at least one
 * @param roof floating-point operations a second
 */
export function summariseSteps(steps: readonly StepTimes[], roof: number): Rates {
  const seconds = sum(steps.map(({ milliseconds }) => milliseconds)) / 1000
  const flopsPerSecond = sum(steps.map(({ flops }) => flops)) / seconds
  return {
    steps: steps.length,
    tokensPerSecond: quantiles(steps.map(({ tokens, milliseconds }) => (1000 * tokens) / milliseconds)),
    rowsPerSecond: quantiles(steps.map(({ rows, milliseconds }) => (1000 * rows) / milliseconds)),
    milliseconds: quantiles(steps.map(({ milliseconds }) => milliseconds)),
    flopsPerSecond: significant(flopsPerSecond),
    shareOfRoof: significant(flopsPerSecond / roof, 3),
    split: meanSplit(steps),
  }
}

/** Parts that never take time (an inference has no backward pass) are left out. */
function meanSplit(steps: readonly StepTimes[]): Rates['split'] {
  const means = phases
    .map((phase): [Phase, number] => [phase, sum(steps.map(({ split }) => split[phase])) / steps.length])
    .filter(([, milliseconds]) => milliseconds !== 0)
    // Microseconds: whole numbers, so that the sum is exact too.
    .map(([phase, milliseconds]): [Phase, number] => [phase, Math.round(1000 * milliseconds)])
  const total = sum(means.map(([, microseconds]) => microseconds))
  return {
    total: total / 1000,
    milliseconds: Object.fromEntries(means.map(([phase, microseconds]) => [phase, microseconds / 1000])),
    share: Object.fromEntries(means.map(([phase, microseconds]) => [phase, significant(microseconds / total, 3)])),
  }
}
