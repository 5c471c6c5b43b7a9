/** How the learning rate changes: see the two functions. */
export const schedules = ['linear', 'adapter-bert'] as const
export type ScheduleName = (typeof schedules)[number]

export interface ScheduleOptions {
  readonly name: ScheduleName
  /** Peak rate. */
  readonly rate: number
  /** Share of all steps that warm up, 0 to 1; at least one step does. */
  readonly warmup: number
  /** Steps of the whole training. */
  readonly total: number
}

/** Learning rate of a step, counted from 0. */
export type Schedule = (step: number) => number

export function makeSchedule({ name, rate, warmup, total }: ScheduleOptions): Schedule {
  const warm = Math.max(1, Math.floor(warmup * total))
  switch (name) {
    case 'linear':
      return linear(rate, warm, total)
    case 'adapter-bert':
      return adapterBert(rate, warm, total)
  }
}

/** Up to the rate in `warm` steps, then down to 0 in the rest (Houlsby et al. 2019 §3.1). */
function linear(rate: number, warm: number, total: number): Schedule {
  return (step) => (step < warm ? (rate * (step + 1)) / warm : (rate * (total - step)) / (total - warm))
}

/**
 * The reference code's: the first step has rate 0, and the decay counts from step 0, so the rate jumps down by
 * `warm / total` where warm-up ends (google-research/adapter-bert, optimization.py).
 */
function adapterBert(rate: number, warm: number, total: number): Schedule {
  return (step) => (step < warm ? (rate * step) / warm : rate * (1 - step / total))
}
