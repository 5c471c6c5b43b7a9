import { readFile } from 'node:fs/promises'
import { BackboneError } from '../../errors.js'
import type { Activation } from '../../ops/define.js'
import { show } from '../../options.js'

/** Families whose weights are converted; they differ in names, positions, and what stands around the layers. */
export type Family = 'bert' | 'roberta' | 'distilbert' | 'electra'

export type EncoderActivation = Exclude<Activation, 'none'>

/** What config.json says of an encoder, as far as its graph depends on it. */
export interface EncoderShape {
  readonly family: Family
  readonly layers: number
  /** Width C. */
  readonly hidden: number
  readonly heads: number
  /** Width F. */
  readonly feedForward: number
  readonly activation: EncoderActivation
  readonly vocabulary: number
  /** Rows of the position table. */
  readonly positions: number
  /** Rows of the token type table; 0 without one. */
  readonly tokenTypes: number
  /** Width of the embedding tables. */
  readonly embedding: number
  readonly epsilon: number
  /** RoBERTa family: the id of padding, after which positions are counted. */
  readonly pad?: number
}

/** By `model_type`. */
const families: Readonly<Record<string, Family>> = {
  bert: 'bert',
  roberta: 'roberta',
  'xlm-roberta': 'roberta',
  camembert: 'roberta',
  distilbert: 'distilbert',
  electra: 'electra',
}

/** By `hidden_act`. The tanh forms of GELU differ in the order of their products only. */
const activations: Readonly<Record<string, EncoderActivation>> = {
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  relu: 'relu',
  silu: 'silu',
  swish: 'silu',
  tanh: 'tanh',
}

export const supportedFamilies = 'BERT, RoBERTa (XLM-R, CamemBERT), DistilBERT and ELECTRA'

/**
 * Reads config.json, and refuses what it says that the converter cannot do: an encoder that computes something else
 * than its config is worse than none.
 * @throws BackboneError ERR_BACKBONE_CONFIG for a file that is not a config, ERR_BACKBONE_UNSUPPORTED
 */
export async function readEncoderShape(file: string): Promise<EncoderShape> {
  const config = await readConfig(file)
  const family = findFamily(config, file)
  rejectOtherKinds(config, file)
  const read = new Fields(config, file)
  const names = family === 'distilbert' ? distilbertNames : commonNames
  const hidden = read.count(names.hidden)
  const heads = read.count(names.heads)
  if (hidden % heads !== 0)
    throw unsupported(file, names.hidden, `a multiple of "${names.heads}" (${heads}), not ${hidden}`, hidden)
  return {
    family,
    layers: read.count(names.layers),
    hidden,
    heads,
    feedForward: read.count(names.feedForward),
    activation: read.choice(names.activation, activations, 'gelu'),
    vocabulary: read.count('vocab_size'),
    positions: read.count('max_position_embeddings'),
    tokenTypes: family === 'distilbert' ? 0 : read.count('type_vocab_size', 2),
    embedding: family === 'electra' ? read.count('embedding_size', hidden) : hidden,
    epsilon: family === 'distilbert' ? 1e-12 : read.positive('layer_norm_eps', 1e-12),
    ...(family === 'roberta' ? { pad: read.id('pad_token_id', 1) } : {}),
  }
}

const commonNames = {
  layers: 'num_hidden_layers',
  hidden: 'hidden_size',
  heads: 'num_attention_heads',
  feedForward: 'intermediate_size',
  activation: 'hidden_act',
}

const distilbertNames: typeof commonNames = {
  layers: 'n_layers',
  hidden: 'dim',
  heads: 'n_heads',
  feedForward: 'hidden_dim',
  activation: 'activation',
}

type Config = Readonly<Record<string, unknown>>

async function readConfig(file: string): Promise<Config> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new BackboneError(
      'ERR_BACKBONE_CONFIG',
      `${file}: cannot be read: ${(cause as Error).message}; weights are converted by what config.json says of them`,
      { file },
      { cause },
    )
  })
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch (cause) {
    throw new BackboneError('ERR_BACKBONE_CONFIG', `${file}: not valid JSON: ${String(cause)}`, { file }, { cause })
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new BackboneError('ERR_BACKBONE_CONFIG', `${file}: not a JSON object`, { file })
  return config as Config
}

function findFamily(config: Config, file: string): Family {
  const { model_type: type, architectures } = config
  const known = (name: unknown) =>
    typeof name === 'string' && Object.hasOwn(families, name) ? families[name] : undefined
  if (type !== undefined) {
    const family = known(type)
    if (family) return family
    throw unsupported(file, 'model_type', `one of ${Object.keys(families).join(', ')}`, type)
  }
  // Configs of the first years have no model_type.
  const [architecture] = Array.isArray(architectures) ? (architectures as unknown[]) : []
  const prefix = typeof architecture === 'string' ? /^(Bert|Roberta|DistilBert|Electra)/.exec(architecture)?.[1] : ''
  const family = known(prefix?.toLowerCase())
  if (family) return family
  throw unsupported(file, 'model_type', `one of ${Object.keys(families).join(', ')}`, architecture ?? type)
}

/** What makes of a BERT something else. */
function rejectOtherKinds(config: Config, file: string): void {
  const isSet = (name: string) => config[name] !== undefined && config[name] !== null && config[name] !== false
  for (const name of ['is_decoder', 'add_cross_attention', 'is_encoder_decoder'])
    if (isSet(name)) throw unsupported(file, name, 'false: adapters are trained on encoders', config[name])
  const positions = config['position_embedding_type'] ?? 'absolute'
  if (positions !== 'absolute') throw unsupported(file, 'position_embedding_type', '"absolute"', positions)
  const pruned = config['pruned_heads']
  if (typeof pruned === 'object' && pruned !== null && Object.keys(pruned).length > 0)
    throw unsupported(file, 'pruned_heads', 'absent or empty: all layers need all of their heads', pruned)
  if (isSet('quantization_config'))
    throw unsupported(
      file,
      'quantization_config',
      'absent: training needs float weights',
      config['quantization_config'],
    )
  if (isSet('auto_map'))
    throw unsupported(file, 'auto_map', "absent: the model's own Python code is not run", config['auto_map'])
}

function unsupported(file: string, field: string, expected: string, got: unknown): BackboneError {
  const found = typeof got === 'object' && got !== null ? JSON.stringify(got) : show(got)
  return new BackboneError(
    'ERR_BACKBONE_UNSUPPORTED',
    `${file}: "${field}" must be ${expected}; it is ${found}. Weights of ${supportedFamilies} are converted; ` +
      'export other encoders to ONNX with their own tools, and name the .onnx file',
    { file, field, found: got, expected },
  )
}

/** Fields of a config, checked as they are read. */
class Fields {
  readonly #config: Config
  readonly #file: string

  constructor(config: Config, file: string) {
    this.#config = config
    this.#file = file
  }

  /** A whole number above 0. */
  count(field: string, absent?: number): number {
    const value = this.#config[field] ?? absent
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number
    throw this.#wrong(field, 'a whole number above 0', value)
  }

  /** A whole number from 0 on. */
  id(field: string, absent: number): number {
    const value = this.#config[field] ?? absent
    if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
    throw this.#wrong(field, 'a whole number from 0 on', value)
  }

  positive(field: string, absent: number): number {
    const value = this.#config[field] ?? absent
    if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value
    throw this.#wrong(field, 'a number above 0', value)
  }

  choice<T>(field: string, choices: Readonly<Record<string, T>>, absent: string): T {
    const value = this.#config[field] ?? absent
    if (typeof value === 'string' && Object.hasOwn(choices, value)) return choices[value]!
    throw unsupported(this.#file, field, `one of ${Object.keys(choices).join(', ')}`, value)
  }

  #wrong(field: string, expected: string, got: unknown): BackboneError {
    const file = this.#file
    return new BackboneError('ERR_BACKBONE_CONFIG', `${file}: "${field}" must be ${expected}, not ${show(got)}`, {
      file,
      field,
      found: got,
      expected,
    })
  }
}
