import type { AdapterOptions } from './houlsby.js'

/** Options of `train()` that a preset fills in where the user gives none. */
export interface Preset {
  readonly adapter: AdapterOptions
  readonly head: { readonly pool: 'cls' | 'pooler' }
  readonly optimizer: { readonly epsilon: number; readonly biasCorrection: boolean }
  /** `linear`: warm-up, then down from its end; `adapter-bert`: down from step 0, with a small jump after warm-up. */
  readonly schedule: 'linear' | 'adapter-bert'
  readonly warmup: number
}

export const presetNames = ['houlsby2019', 'adapter-bert'] as const
export type PresetName = (typeof presetNames)[number]

/**
 * - `houlsby2019`: as the paper says (section 3): N(0, 1e-2) cut at two deviations, one linear layer on [CLS].
 * - `adapter-bert`: as its reference code does: 1e-3, head on the frozen pooler, BERT's Adam without bias correction.
 */
export const presets: Readonly<Record<PresetName, Preset>> = {
  houlsby2019: {
    adapter: { activation: 'gelu_tanh', initialStd: 1e-2 },
    head: { pool: 'cls' },
    optimizer: { epsilon: 1e-8, biasCorrection: true },
    schedule: 'linear',
    warmup: 0.1,
  },
  'adapter-bert': {
    adapter: { activation: 'gelu_tanh', initialStd: 1e-3 },
    head: { pool: 'pooler' },
    optimizer: { epsilon: 1e-6, biasCorrection: false },
    schedule: 'adapter-bert',
    warmup: 0.1,
  },
}
