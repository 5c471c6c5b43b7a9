import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Backbone } from '../backbone/backbone.js'
import { InteropError } from '../errors.js'
import { fromHubTensors } from '../formats/adapterhub/adapter_tensors.js'
import { readAdapterConfig } from '../formats/adapterhub/config.js'
import { hubFiles, readJsonFile, readWeights } from '../formats/adapterhub/folder.js'
import { fromHubHead, readHeadConfig } from '../formats/adapterhub/head.js'
import { hubFamily } from '../formats/adapterhub/names.js'
import { unsupported } from '../formats/adapterhub/wrong.js'
import type { ForeignAdapter, ImportSource } from './source.js'

/** A folder of `save_adapter` or of the hub, with its head. */
export const adapterhub: ImportSource = {
  name: 'adapterhub',
  description: 'a folder of save_adapter of the Python library "adapters", as on AdapterHub',
  async read(folder, backbone): Promise<ForeignAdapter> {
    const file = join(folder, hubFiles.config)
    const root = await readJsonFile(file)
    if (!root) throw missing(folder, hubFiles.config, 'it is no folder of the library "adapters"')
    for (const more of ['adapter_fusion_config.json', 'adapter_setup.json'])
      if (existsSync(join(folder, more))) throw unsupported(join(folder, more), more, 'a composition', 'one adapter')
    const { architecture, layers, hidden } = backbone.config
    const family = hubFamily(architecture)
    if (!family)
      throw unsupported(file, 'model_type', root['model_type'], `adapters of a backbone, not ${architecture}`)
    checkHidden(root['hidden_size'], backbone, file)
    const plan = readAdapterConfig(root, file)
    const [weights, weightsFile] = await readWeights(folder, hubFiles.weights, hubFiles.safeWeights)
    const adapter = fromHubTensors(weights, plan, family, { layers, hidden }, weightsFile)
    const head = await readHead(folder, hidden)
    return {
      name: plan.name,
      file: weightsFile,
      adapter: {
        size: adapter.size,
        activation: plan.activation,
        layers: plan.leaveOut.length > 0 ? adapter.layers : 'all',
      },
      trainable: adapter.hasNorms ? ['adapters', 'layerNorm', 'head'] : ['adapters', 'head'],
      tensors: new Map([...adapter.tensors, ...head.tensors]),
      head: head.plan,
      warnings: [],
    }
  },
}

async function readHead(folder: string, hidden: number) {
  const file = join(folder, hubFiles.headConfig)
  const root = await readJsonFile(file)
  if (!root) throw missing(folder, hubFiles.headConfig, 'without a head nothing can be predicted')
  const plan = readHeadConfig(root, file)
  const [weights, weightsFile] = await readWeights(folder, hubFiles.headWeights, hubFiles.safeHeadWeights)
  return { plan, tensors: fromHubHead(weights, plan, hidden, weightsFile) }
}

function checkHidden(found: unknown, { config, name }: Backbone, file: string): void {
  if (found === undefined || found === null || found === config.hidden) return
  throw new InteropError(
    'ERR_INTEROP_BACKBONE',
    `${file}: it is for models of hidden size ${String(found)}, but "${name}" has ${config.hidden}`,
    { file, key: 'hidden_size', found, expected: config.hidden },
  )
}

function missing(folder: string, name: string, why: string): InteropError {
  return new InteropError('ERR_INTEROP_MISSING', `${folder}: no ${name} in it: ${why}`, { file: join(folder, name) })
}
