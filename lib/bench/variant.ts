import { OptionError } from '../errors.js'
import { checkChoice, checkNumber, wrongOption } from '../options.js'
import type { TrainerOptions } from '../train/trainer_options.js'

/** What is trained: adapters of a size, or one of the other ways to adapt the same encoder. */
export interface Variant {
  /** `adapters 64`, `full`, `top-1`, `layernorm`, `head`. */
  readonly name: string
  /** Bottleneck width M; absent without adapters. */
  readonly size?: number
  readonly options: Pick<TrainerOptions, 'adapter' | 'trainable'>
}

export const defaultSizes: readonly number[] = [1, 8, 64, 256]
export const defaultModes: readonly string[] = ['adapters', 'full', 'top-1', 'layernorm', 'head']

/**
 * One variant for each size where `adapters` is among the modes, and one for each other mode.
 * @throws {OptionError} ERR_OPTION
 */
export function makeVariants(modes: readonly string[], sizes: readonly number[]): Variant[] {
  if (!Array.isArray(modes) || modes.length === 0) throw wrongOption('modes', 'a list of at least one mode', modes)
  if (!Array.isArray(sizes) || sizes.length === 0) throw wrongOption('sizes', 'a list of at least one size', sizes)
  const variants = modes.flatMap((mode) => variantsOf(mode, sizes))
  const names = variants.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice === undefined) return variants
  throw new OptionError('ERR_OPTION', `"${twice}" is asked for twice`, { option: 'sizes', got: twice })
}

function variantsOf(mode: string, sizes: readonly number[]): Variant[] {
  const without = (trainable: Variant['options']['trainable']) => [
    { name: mode, options: { adapter: false as const, trainable } },
  ]
  const kind = /^top-\d+$/.test(mode) ? 'top-K' : checkChoice('modes', mode, kinds)
  switch (kind) {
    case 'adapters':
      return sizes.map(adapters)
    case 'full':
      return without('all')
    case 'top-K':
      return without({ topLayers: checkNumber('modes', Number(mode.slice(4)), { least: 1, integer: true }) })
    case 'layernorm':
      return without(['layerNorm', 'head'])
    case 'head':
      return without(['head'])
    default:
      return kind satisfies never
  }
}

const kinds = ['adapters', 'full', 'top-K', 'layernorm', 'head'] as const

function adapters(size: number): Variant {
  checkNumber('sizes', size, { least: 1, most: 65_536, integer: true })
  return { name: `adapters ${size}`, size, options: { adapter: { size } } }
}
