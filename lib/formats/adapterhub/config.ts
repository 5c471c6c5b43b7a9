/** adapter_config.json of the `adapters` library: read strictly where it says how the adapter computes. */

import { show } from '../../options.js'
import { readActivation, writeActivation, type ActivationName } from './activations.js'
import { bottleneckSize, reductionFactor } from './reduction.js'
import { invalid, unsupported } from './wrong.js'

export type Json = Readonly<Record<string, unknown>>

/** The version of which files are written: readers take names of activations by it. */
export const adaptersVersion = 'adapters.1.3.0'

/** What a configuration says of an adapter that the engine can have. */
export interface AdapterPlan {
  readonly name: string
  readonly activation: ActivationName
  /** True where there is one behind the attention, and one behind the feed-forward part. */
  readonly attention: boolean
  readonly ffn: boolean
  /** Layers without adapters. */
  readonly leaveOut: readonly number[]
  /** Bottleneck width of a layer, for a hidden width. */
  readonly size: (layer: number, hidden: number) => number
  /** What the output is multiplied by; by a tensor of the file where it is learned. */
  readonly scaling: number | 'learned' | 'channel'
}

/** Where a Houlsby adapter stands and how it is put together: keys, what they mean where they are absent, what fits. */
const fixed: Readonly<Record<string, readonly [byDefault: unknown, ...fits: unknown[]]>> = {
  original_ln_before: [false, false],
  original_ln_after: [true, true],
  ln_before: [false, false],
  ln_after: [false, false],
  is_parallel: [false, false],
  use_gating: [false, false],
  phm_layer: [false, false],
  inv_adapter: [null, null],
  // Without a norm in front of the adapter both are the same.
  residual_before_ln: [true, true, false],
}

/**
 * @param root the JSON of the file
 * @throws InteropError ERR_INTEROP_UNSUPPORTED, ERR_INTEROP_FILE with `details.key`
 */
export function readAdapterConfig(root: Json, file: string): AdapterPlan {
  const name = readName(root, file)
  const { config } = root
  if (!isJson(config)) throw invalid(file, 'config', `"config" is ${show(config)}, expected an object`)
  const { architecture = null } = config
  if (architecture !== null)
    throw unsupported(file, 'config.architecture', architecture, 'none, which stands for bottleneck adapters')
  for (const [key, [byDefault, ...fits]] of Object.entries(fixed)) {
    const { [key]: value = byDefault } = config
    if (!fits.includes(value)) throw unsupported(file, `config.${key}`, value, fits.map(show).join(' or '))
  }
  const invertible: unknown = config['invertible_adapter'] ?? null
  if (invertible !== null && invertible !== false)
    throw unsupported(file, 'config.invertible_adapter', invertible, 'none')
  const [attention, ffn] = [readFlag(config, 'mh_adapter', file), readFlag(config, 'output_adapter', file)]
  if (!attention && !ffn)
    throw unsupported(file, 'config.output_adapter', false, 'true, here or for "config.mh_adapter"')
  return {
    name,
    activation: findActivation(config, Object.hasOwn(root, 'version'), file),
    attention,
    ffn,
    leaveOut: readLayers(config, file),
    size: readSizes(config, file),
    scaling: readScaling(config, file),
  }
}

/** A name is part of the names of tensors. @throws InteropError ERR_INTEROP_FILE */
export function readName(root: Json, file: string): string {
  const { name } = root
  if (typeof name === 'string' && name !== '' && !name.includes('.')) return name
  throw invalid(file, 'name', `"name" is ${show(name)}, expected the adapter's name, without dots`)
}

function findActivation(config: Json, hasVersion: boolean, file: string): ActivationName {
  const { non_linearity: name } = config
  const found = typeof name === 'string' ? readActivation(name, hasVersion) : undefined
  if (found) return found
  throw unsupported(file, 'config.non_linearity', name, 'gelu, gelu_new, relu, swish or tanh')
}

function readFlag(config: Json, key: string, file: string): boolean {
  const { [key]: value } = config
  if (typeof value === 'boolean') return value
  throw invalid(file, `config.${key}`, `"config.${key}" is ${show(value)}, expected true or false`)
}

function readLayers(config: Json, file: string): number[] {
  const { leave_out: layers = [] } = config
  const fine = Array.isArray(layers) && layers.every((layer) => Number.isSafeInteger(layer))
  if (fine) return layers as number[]
  throw invalid(file, 'config.leave_out', `"config.leave_out" is ${show(layers)}, expected a list of layers`)
}

/** Far wider than any encoder. */
const widestBottleneck = 65_536

function readSizes(config: Json, file: string): AdapterPlan['size'] {
  const { reduction_factor: factor } = config
  const key = 'config.reduction_factor'
  const checked = (value: unknown, where: string): number => {
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
    throw invalid(file, where, `"${where}" is ${show(value)}, expected a number above 0`)
  }
  const sized = (hidden: number, value: number, where: string): number => {
    const size = bottleneckSize(hidden, value)
    if (size <= widestBottleneck) return size
    const what = `"${where}" is ${value}: bottlenecks of ${size} for a hidden size of ${hidden}`
    throw invalid(file, where, `${what}, expected at most ${widestBottleneck}`)
  }
  if (!isJson(factor)) {
    const one = checked(factor, key)
    return (_, hidden) => sized(hidden, one, key)
  }
  for (const [layer, value] of Object.entries(factor)) checked(value, `${key}.${layer}`)
  return (layer, hidden) => {
    const named = Object.hasOwn(factor, String(layer)) ? String(layer) : 'default'
    const where = `${key}.${named}`
    return sized(hidden, checked(factor[named], where), where)
  }
}

function readScaling(config: Json, file: string): AdapterPlan['scaling'] {
  const { scaling = 1 } = config
  if ((typeof scaling === 'number' && Number.isFinite(scaling)) || scaling === 'learned' || scaling === 'channel')
    return scaling
  throw unsupported(file, 'config.scaling', scaling, 'a number, "learned" or "channel"')
}

/** What of a model is said in both configurations. */
export interface ModelDescription {
  readonly hidden: number
  /** Of its configuration: `bert`. */
  readonly modelType: string
  /** Of the library: `BertAdapterModel`. */
  readonly modelClass: string
  readonly modelName: string
}

export interface WrittenAdapter extends ModelDescription {
  readonly name: string
  readonly size: number
  readonly activation: ActivationName
  readonly leaveOut: readonly number[]
}

/** The JSON of a Houlsby adapter: all keys that the library writes, in its order. */
export function encodeAdapterConfig(adapter: WrittenAdapter): string {
  const { name, size, activation, leaveOut, hidden } = adapter
  const config = {
    ...doubleBottleneck,
    leave_out: leaveOut,
    non_linearity: writeActivation(activation),
    reduction_factor: reductionFactor(hidden, size),
  }
  // The library refuses the whole number 1, and JSON of JavaScript knows no other.
  return encodeConfig(adapter, name, config).replace('"scaling": 1,', '"scaling": 1.0,')
}

/** The JSON around the configuration of an adapter or a head. */
export function encodeConfig(model: ModelDescription, name: string, config: Json): string {
  const { hidden, modelType, modelClass, modelName } = model
  const root = {
    config,
    hidden_size: hidden,
    model_class: modelClass,
    model_name: modelName,
    model_type: modelType,
    name,
    version: adaptersVersion,
  }
  return `${JSON.stringify(sorted(root), null, 2)}\n`
}

/** The library's own double_seq_bn, but for what differs from adapter to adapter. */
const doubleBottleneck = {
  adapter_residual_before_ln: false,
  cross_adapter: false,
  dropout: 0,
  factorized_phm_W: true,
  factorized_phm_rule: false,
  hypercomplex_nonlinearity: 'glorot-uniform',
  init_weights: 'bert',
  init_weights_seed: null,
  inv_adapter: null,
  inv_adapter_reduction_factor: null,
  is_parallel: false,
  learn_phm: true,
  ln_after: false,
  ln_before: false,
  mh_adapter: true,
  original_ln_after: true,
  original_ln_before: false,
  output_adapter: true,
  phm_bias: true,
  phm_c_init: 'normal',
  phm_dim: 4,
  phm_init_range: 0.0001,
  phm_layer: false,
  phm_rank: 1,
  residual_before_ln: true,
  scaling: 1,
  shared_W_phm: false,
  shared_phm_rule: true,
  stochastic_depth: 0,
  use_gating: false,
}

function sorted(value: unknown): unknown {
  if (!isJson(value)) return value
  const keys = Object.keys(value).sort()
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]))
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
