/** What the `adapters` library calls tensors of an encoder with adapters, by the structure of its families. */

export type Place = 'attention' | 'ffn'

/** Names of modules, without the prefix of the model. */
interface Structure {
  /** The module that holds the adapters of a place: `.adapters.NAME` follows. */
  readonly holder: (layer: number, place: Place) => string
  readonly norm: (layer: number, place: Place) => string
}

const bert: Structure = {
  holder: (layer, place) => `encoder.layer.${layer}.${place === 'attention' ? 'attention.output' : 'output'}`,
  norm: (layer, place) => `${bert.holder(layer, place)}.LayerNorm`,
}

const distilbert: Structure = {
  holder: (layer, place) => `transformer.layer.${layer}.${place === 'attention' ? 'attention' : 'output'}_adapters`,
  norm: (layer, place) => `transformer.layer.${layer}.${place === 'attention' ? 'sa' : 'output'}_layer_norm`,
}

export const embeddingNorm = 'embeddings.LayerNorm'

/** What the library has for an architecture of ours: the prefix of its tensors, types and classes of models. */
export interface HubFamily {
  readonly prefix: string
  readonly structure: Structure
  /** Classes by model_type of config.json; the first is that of files that do not say it. */
  readonly classes: Readonly<Record<string, string>>
}

const families: Readonly<Record<string, HubFamily>> = {
  bert: { prefix: 'bert.', structure: bert, classes: { bert: 'BertAdapterModel' } },
  roberta: {
    prefix: 'roberta.',
    structure: bert,
    classes: { roberta: 'RobertaAdapterModel', 'xlm-roberta': 'XLMRobertaAdapterModel' },
  },
  electra: { prefix: 'electra.', structure: bert, classes: { electra: 'ElectraAdapterModel' } },
  distilbert: { prefix: 'distilbert.', structure: distilbert, classes: { distilbert: 'DistilBertAdapterModel' } },
}

/** @param architecture of the backbone; undefined for one that the library lacks, or builds in another way */
export function hubFamily(architecture: string): HubFamily | undefined {
  return Object.hasOwn(families, architecture) ? families[architecture] : undefined
}

/** Names of older files, in the library's own order. */
const legacy: readonly (readonly [string, string])[] = [
  ['attention_text_task_adapters', 'adapters'],
  ['attention_text_lang_adapters', 'adapters'],
  ['layer_text_task_adapters', 'adapters'],
  ['layer_text_lang_adapters', 'adapters'],
]

/** The name as the library has it now, without the prefix of the model. */
export function currentName(name: string, { prefix }: HubFamily): string {
  const renamed = legacy.reduce((text, [old, now]) => text.replaceAll(old, now), name)
  return renamed.startsWith(prefix) ? renamed.slice(prefix.length) : renamed
}

/** What PyTorch's dictionaries of modules have as attributes: none of it can be the name of an adapter in them. */
const attributes = new Set(
  (
    'T_destination add_module apply bfloat16 buffers call_super_init children clear compile cpu cuda ' +
    'double dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter ' +
    'get_submodule half ipu items keys load_state_dict modules mtia named_buffers named_children ' +
    'named_modules named_parameters parameters pop register_backward_hook register_buffer ' +
    'register_forward_hook register_forward_pre_hook register_full_backward_hook ' +
    'register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook ' +
    'register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook ' +
    'requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty train training type ' +
    'update values xpu zero_grad'
  ).split(' '),
)

/** Why the library takes no adapter of this name; undefined where it does. */
export function refusedName(name: string): string | undefined {
  if (name.includes('.')) return 'takes no dots in names of adapters'
  return attributes.has(name) ? `takes no adapter "${name}", since PyTorch has something of that name` : undefined
}
