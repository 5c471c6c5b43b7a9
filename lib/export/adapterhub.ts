import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { AdapterActivation } from '../adapters/houlsby.js'
import { ExportError } from '../errors.js'
import { writeAtomic } from '../formats/atomic.js'
import { encodeAdapterConfig, type ModelDescription } from '../formats/adapterhub/config.js'
import { toHubTensors, type Tensors } from '../formats/adapterhub/adapter_tensors.js'
import { hubFiles } from '../formats/adapterhub/folder.js'
import { encodeHeadConfig, toHubHead } from '../formats/adapterhub/head.js'
import { hubFamily, refusedName, type HubFamily } from '../formats/adapterhub/names.js'
import { writeSafetensors } from '../formats/safetensors.js'
import { writeTorchFile } from '../formats/torch_file.js'
import type { Pool } from '../heads/define.js'
import { readModelType } from './backbone_config.js'
import { encodeExtras } from './extras.js'
import { prepareOutput, removeOld } from './output.js'
import { readyTensors } from './ready.js'
import type { ExportedRun, ExportReport, ExportTarget } from './target.js'

/** A second folder in the first one, for models that keep their LayerNorms. */
const withoutNorms = 'without-layer-norms'

/**
 * A folder that `load_adapter` of the Python library `adapters` loads: adapters, head and LayerNorms, so that it
 * predicts the same. The library puts LayerNorms into the model that all its adapters share; where that must not be,
 * the folder `without-layer-norms` within has adapters and head alone.
 */
export const adapterhub: ExportTarget = {
  name: 'adapterhub',
  description: 'a folder that load_adapter of the Python library "adapters" loads',
  form: 'folder',
  several: false,
  needsHead: true,
  async write([run], { output }): Promise<ExportReport> {
    const written = describe(run!)
    const hasNorms = [...run!.tensors.keys()].some((name) => name.includes('layer_norm.'))
    const bare = join(output, withoutNorms)
    for (const folder of [bare, output]) await removeOld(folder, Object.values(hubFiles))
    // What else is in it is somebody's.
    await rmdir(bare).catch(() => {})
    const files = await writeFolder(output, run!, written, true)
    if (!hasNorms) return { files, warnings: [] }
    files.push(...(await writeFolder(join(output, withoutNorms), run!, written, false)))
    const message =
      `${output}: the library puts the trained LayerNorms into the model that its adapters share, where they stay; ` +
      `${join(output, withoutNorms)} is the same without them, and predicts something else`
    return { files, warnings: [{ code: 'WARN_EXPORT_LAYER_NORMS', message }] }
  },
}

/** What is checked of a run and known of its model before anything is written. */
interface Written {
  readonly family: HubFamily
  readonly model: (type: { readonly modelType: string; readonly modelClass: string }) => ModelDescription
  readonly size: number
  readonly activation: AdapterActivation
  readonly leaveOut: readonly number[]
  readonly pool: Pool
}

function describe(run: ExportedRun): Written {
  const { backbone, name, record } = run
  const refuse = (what: string, details: object = {}) =>
    new ExportError('ERR_EXPORT_UNSUPPORTED', `"${name}": ${what}`, { run: name, ...details })
  const { architecture, layers, hidden } = backbone.config
  const family = hubFamily(architecture)
  if (!family)
    throw refuse(`the library "adapters" has no ${architecture} as this backbone is`, { found: architecture })
  const refusal = refusedName(name)
  if (refusal) throw refuse(`the library "adapters" ${refusal}: rename the folder of the run`)
  const { adapter, trainable, head } = record.options
  if (!Array.isArray(trainable)) throw refuse("it has trained the backbone's own weights, which no adapter holds")
  if (adapter === false) throw refuse('it has no adapters: a run of LayerNorms or a head alone can be exported to peft')
  const {
    size,
    activation,
    layers: chosen,
  } = adapter as { size: number; activation: AdapterActivation; layers: unknown }
  const pool = head['pool'] as Pool
  const { kind } = run.task
  if (pool === 'mean' && kind !== 'token' && kind !== 'span')
    throw refuse('its head reads the mean of all tokens, those of "adapters" the first token or the pooler', {
      found: pool,
      expected: 'head.pool cls or pooler',
    })
  const all = Array.from({ length: layers }, (_, i) => i)
  return {
    family,
    model: (type) => ({ ...type, hidden, modelName: backbone.name }),
    size,
    activation,
    leaveOut: Array.isArray(chosen) ? all.filter((layer) => !chosen.includes(layer)) : [],
    pool,
  }
}

async function writeFolder(
  folder: string,
  run: ExportedRun,
  { family, model: describeModel, size, activation, leaveOut, pool }: Written,
  withNorms: boolean,
): Promise<string[]> {
  const { name, tensors, backbone, task } = run
  const { labels } = run.record.task as { labels?: readonly string[] }
  const model = describeModel(await readModelType(backbone, family.classes))
  await prepareOutput(folder, 'folder')
  const files: string[] = []
  const put = async (file: string, write: (path: string) => Promise<void>) => {
    await write(join(folder, file))
    files.push(join(folder, file))
  }
  const putTensors = async (torch: string, safe: string, named: Tensors) => {
    await put(torch, (path) => writeTorchFile(path, named, torch.replace(/\.bin$/, '')))
    await put(safe, (path) => writeSafetensors(path, named))
  }
  const config = encodeAdapterConfig({ ...model, name, size, activation, leaveOut })
  await put(hubFiles.config, (path) => writeAtomic(path, config))
  const { layers } = backbone.config
  await putTensors(hubFiles.weights, hubFiles.safeWeights, toHubTensors(tensors, name, family, layers, withNorms))
  const { kind, outputs } = task
  const head = encodeHeadConfig({ ...model, name, kind, outputs, labels, usePooler: pool === 'pooler' })
  await put(hubFiles.headConfig, (path) => writeAtomic(path, head))
  const ready = readyTensors(run)
  const [weight, bias] = [ready.get('head.weight')!, ready.get('head.bias')!]
  await putTensors(hubFiles.headWeights, hubFiles.safeHeadWeights, toHubHead(weight, bias, name))
  await put(hubFiles.extras, (path) => writeAtomic(path, encodeExtras(run)))
  return files
}
