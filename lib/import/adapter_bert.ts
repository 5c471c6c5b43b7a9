import { InteropError } from '../errors.js'
import { fromAdapterBert } from '../formats/adapter_bert.js'
import { readSafeWeights } from '../formats/adapterhub/folder.js'
import type { ForeignAdapter, ImportSource } from './source.js'

/** A safetensors file with the names of google-research/adapter-bert. */
export const adapterBert: ImportSource = {
  name: 'adapter-bert',
  description: 'a .safetensors file with the names and layout of google-research/adapter-bert',
  async read(file, backbone): Promise<ForeignAdapter> {
    const { architecture, layers, hidden } = backbone.config
    if (architecture !== 'bert')
      throw new InteropError(
        'ERR_INTEROP_BACKBONE',
        `${file}: it is for a BERT, but "${backbone.name}" is ${architecture}`,
        {
          file,
          found: architecture,
          expected: 'bert',
        },
      )
    const { tensors, size, outputs } = fromAdapterBert(await readSafeWeights(file), { layers, hidden }, file)
    const hasNorms = [...tensors.keys()].some((name) => name.includes('layer_norm.'))
    return {
      name: 'adapter-bert',
      file,
      adapter: { size, activation: 'gelu_tanh', layers: 'all' },
      trainable: hasNorms ? ['adapters', 'layerNorm', 'head'] : ['adapters', 'head'],
      tensors,
      head: { kind: outputs === 1 ? 'regression' : 'classification', outputs, pool: 'pooler' },
      warnings: [],
    }
  },
}
