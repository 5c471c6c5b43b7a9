import { ExportError } from '../errors.js'
import { toAdapterBert } from '../formats/adapter_bert.js'
import { writeSafetensors } from '../formats/safetensors.js'
import { prepareOutput } from './output.js'
import { readyTensors } from './ready.js'
import type { ExportTarget } from './target.js'

/** A safetensors file with names and layout of google-research/adapter-bert. */
export const adapterBert: ExportTarget = {
  name: 'adapter-bert',
  description: 'a .safetensors file with the names and layout of google-research/adapter-bert',
  form: 'file',
  several: false,
  needsHead: true,
  async write([run], { output }) {
    const { name, record, backbone } = run!
    const { adapter, head, trainable } = record.options
    const checks: readonly (readonly [boolean, string])[] = [
      [
        backbone.config.architecture === 'bert',
        `it is of ${backbone.config.architecture}, and that program has BERT alone`,
      ],
      [Array.isArray(trainable), "it has trained the backbone's own weights, which are no part of an adapter"],
      [adapter !== false, 'it has no adapters'],
      [
        adapter !== false && adapter['activation'] === 'gelu_tanh',
        'its adapters have another activation than gelu_tanh',
      ],
      [adapter !== false && adapter['layers'] === 'all', 'some of its layers have no adapters'],
      [head['pool'] === 'pooler', 'its head does not read the pooler: train with option "head.pool" of "pooler"'],
      [['classification', 'regression'].includes(record.task.kind), `that program has no ${record.task.kind} head`],
    ]
    const wrong = checks.find(([fits]) => !fits)
    if (wrong) throw new ExportError('ERR_EXPORT_UNSUPPORTED', `"${name}": ${wrong[1]}`, { run: name })
    await prepareOutput(output, 'file')
    await writeSafetensors(output, toAdapterBert(readyTensors(run!), backbone.config.layers))
    return { files: [output], warnings: [] }
  },
}
