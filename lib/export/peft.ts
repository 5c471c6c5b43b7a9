import { join } from 'node:path'
import { ExportError } from '../errors.js'
import { writeAtomic } from '../formats/atomic.js'
import { hubFiles } from '../formats/adapterhub/folder.js'
import { hubFamily } from '../formats/adapterhub/names.js'
import { encodePeftConfig, peftFiles, toPeft } from '../formats/peft.js'
import { writeSafetensors } from '../formats/safetensors.js'
import { encodeExtras } from './extras.js'
import { prepareOutput } from './output.js'
import { readyTensors } from './ready.js'
import type { ExportTarget } from './target.js'

/** A folder that PeftModel.from_pretrained loads: LayerNorms and head. */
export const peft: ExportTarget = {
  name: 'peft',
  description: 'a folder of the Python library "peft": runs of LayerNorms and head, without adapters',
  form: 'folder',
  several: false,
  needsHead: true,
  async write([run], { output }) {
    const { name, record, backbone } = run!
    const { adapter, head, trainable } = record.options
    const { kind } = record.task
    const { architecture, layers } = backbone.config
    const family = hubFamily(architecture)
    const ofTokens = kind === 'token' || kind === 'span'
    const checks: readonly (readonly [boolean, string])[] = [
      [Array.isArray(trainable), "it has trained the backbone's own weights"],
      [adapter === false, 'it has bottleneck adapters, for which peft has no type: export it to adapterhub'],
      [Array.isArray(trainable) && trainable.includes('layerNorm'), 'it has trained a head alone'],
      [family !== undefined, `peft has no LayerNorms of ${architecture} that are known here`],
      [ofTokens || head['pool'] === 'pooler', 'its head does not read the pooler, as that of transformers does'],
      [ofTokens || architecture === 'bert', `the head of ${architecture} in transformers has two layers`],
    ]
    const wrong = checks.find(([fits]) => !fits)
    if (wrong) throw new ExportError('ERR_EXPORT_UNSUPPORTED', `"${name}": ${wrong[1]}`, { run: name })
    await prepareOutput(output, 'folder')
    const files = [peftFiles.config, peftFiles.weights, hubFiles.extras].map((file) => join(output, file))
    const [config, weights, extras] = files as [string, string, string]
    await writeAtomic(config, encodePeftConfig(kind, family!, backbone.name))
    await writeSafetensors(weights, toPeft(readyTensors(run!), kind, family!, layers), { format: 'pt' })
    await writeAtomic(extras, encodeExtras(run!))
    return { files, warnings: [] }
  },
}
