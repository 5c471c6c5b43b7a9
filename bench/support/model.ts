import type { TrainOptions } from '../../lib/index.js'

/** What a comparison trains: an adapter size (`64`), `full`, `layernorm`, `head` or `top-K`. */
export const modelPattern = /^(\d+|full|layernorm|head|top-\d+)$/

/** The part of train()'s and the Trainer's options that says which values train. */
export function modelOptions(model: string): Pick<TrainOptions, 'adapter' | 'trainable'> {
  if (/^\d+$/.test(model)) return { adapter: { size: Number(model) } }
  if (model === 'full') return { adapter: false, trainable: 'all' }
  if (model === 'layernorm') return { adapter: false, trainable: ['layerNorm', 'head'] }
  if (model === 'head') return { adapter: false, trainable: ['head'] }
  return { adapter: false, trainable: { topLayers: Number(model.slice('top-'.length)) } }
}
