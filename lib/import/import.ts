import { join, resolve } from 'node:path'
import type { Backbone } from '../backbone/backbone.js'
import { loadBackbone } from '../backbone/load.js'
import { headStd } from '../adapters/init.js'
import type { Task } from '../data/tasks/index.js'
import { InteropError, OptionError } from '../errors.js'
import { hubFiles } from '../formats/adapterhub/folder.js'
import { invalid } from '../formats/adapterhub/wrong.js'
import { show } from '../options.js'
import { resolveDevice } from '../runtime/device.js'
import { chooseMaxLength } from '../train/model_input.js'
import { checkOutput, claimOutput } from '../train/output.js'
import type { Warning } from '../train/progress.js'
import { currentVersions, finishRun, type Parameters, type RunOptions, type RunRecord } from '../train/run.js'
import { TaskModel } from '../train/task_model.js'
import type { TrainerOptions } from '../train/trainer_options.js'
import { readExtras, type Extras } from './extras.js'
import { resolveImportOptions, type ImportOptions, type ImportSettings } from './options.js'
import type { ForeignAdapter } from './source.js'
import { makeTask } from './task.js'

export interface ImportResult {
  readonly output: string
  /** What it is called in the files. */
  readonly name: string
  readonly task: Task['kind']
  /** Scalars in its tensors. */
  readonly parameters: number
  readonly warnings: readonly Warning[]
}

/**
 * Brings in an adapter that another library has trained, as the folder of a finished run.
 *
 * @param path the files: a folder, or a file where the library has one
 * @throws OptionError ERR_OPTION, ERR_OUTPUT_EXISTS; InteropError ERR_TORCH_FILE, ERR_INTEROP_*; RunError ERR_RUN_FILE,
 * ERR_RUN_WRITE, ERR_RUN_BUSY; OnnxImportError ERR_ONNX_*; DeviceError
 */
export async function importAdapter(path: string, options: ImportOptions): Promise<ImportResult> {
  const settings = resolveImportOptions(path, options)
  const { output, overwrite, source, anyBackbone } = settings
  const mode = overwrite ? 'overwrite' : 'new'
  await checkOutput(output, mode)
  const backbone = typeof settings.backbone === 'string' ? await loadBackbone(settings.backbone) : settings.backbone
  const extras = await readExtras(path, backbone, anyBackbone)
  const adapter = await source.read(path, backbone)
  const { task, warnings } = makeTask(adapter.head, extras, settings.labels)
  const built = await build(adapter, backbone, task, settings)
  const { tensors } = built
  const record = makeRecord(settings, adapter, backbone, task, extras, built)
  const claim = await claimOutput(output, mode)
  try {
    await finishRun(output, record, tensors)
  } finally {
    await claim.release()
  }
  return {
    output,
    name: adapter.name,
    task: task.kind,
    parameters: [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0),
    warnings: [...adapter.warnings, ...warnings],
  }
}

interface Built {
  readonly options: Pick<RunOptions, 'adapter' | 'head' | 'trainable'>
  /** All that the model has of its own, in its order. */
  readonly tensors: Parameters
  readonly trained: number
}

/** A model with the tensors: the engine has the last word on names and shapes. */
async function build(
  foreign: ForeignAdapter,
  backbone: Backbone,
  task: Task,
  { device, threads }: ImportSettings,
): Promise<Built> {
  const { file, tensors, head, trainable } = foreign
  const adapter = fitLayers(foreign)
  const options = {
    // Adapters that the file lacks change nothing.
    adapter: adapter && { ...adapter, initialStd: 0 },
    head: { pool: head.pool, initialStd: headStd },
    trainable: [...trainable],
  }
  try {
    const model = await TaskModel.create({
      ...options,
      backbone,
      task: { kind: task.kind, outputs: task.outputs },
      device,
      threads,
    } satisfies TrainerOptions)
    try {
      await model.setParameters(tensors)
      return { options, tensors: await model.tensors(), trained: model.trainedParameters }
    } finally {
      await model.dispose()
    }
  } catch (cause) {
    if (!(cause instanceof OptionError)) throw cause
    const message = `${file}: does not fit the backbone "${backbone.name}": ${cause.message}`
    throw new InteropError('ERR_INTEROP_BACKBONE', message, { ...cause.details, file }, { cause })
  }
}

/**
 * Where adapters are in some layers only, LayerNorms below them stay frozen; a file that has those too gets adapters of
 * zeros in the other layers, which change nothing.
 */
function fitLayers({ adapter, tensors }: ForeignAdapter): ForeignAdapter['adapter'] {
  if (!adapter || adapter.layers === 'all') return adapter
  const lowest = Math.min(...adapter.layers)
  const isBelow = (name: string) => {
    const layer = /^layer\.(\d+)\..*layer_norm\./.exec(name)?.[1]
    return name.startsWith('embeddings.layer_norm.') || (layer !== undefined && Number(layer) < lowest)
  }
  return [...tensors.keys()].some(isBelow) ? { ...adapter, layers: 'all' } : adapter
}

function makeRecord(
  { path, source, device, maxLength, pair }: ImportSettings,
  { name }: ForeignAdapter,
  backbone: Backbone,
  task: Task,
  extras: Extras | undefined,
  { options, trained }: Built,
): RunRecord {
  const { kind, isa } = resolveDevice(device)
  const { maxLength: before, pair: pairBefore } = extras?.options ?? {}
  const length = maxLength ?? readLength(before, path)
  const { parameters } = backbone.config
  return {
    format: 1,
    status: 'complete',
    backbone: { name: backbone.name, path: backbone.file, sha256: backbone.sha256 },
    task: task.record(),
    options: { ...options, maxLength: chooseMaxLength(length, backbone), pair: pair ?? pairBefore === true },
    // Of its training no more is known than the files say.
    data: { train: { rows: 0, sha256: '' } },
    device: { kind, isa },
    parameters: { trained, total: parameters + trained, share: trained / (parameters + trained) },
    history: [],
    imported: {
      from: source.name,
      path: resolve(path),
      name,
      ...(extras?.metrics === undefined ? {} : { metrics: extras.metrics }),
    },
    versions: currentVersions(),
  }
}

/** The length that an export of ours has noted; undefined where it has none. @throws InteropError ERR_INTEROP_FILE */
function readLength(value: unknown, path: string): number | undefined {
  if (value === undefined || value === null) return undefined
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number
  const file = join(path, hubFiles.extras)
  throw invalid(file, 'options.maxLength', `"options.maxLength" is ${show(value)}, expected a whole number from 1`)
}
