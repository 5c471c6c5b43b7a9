import { isBackbone, type Backbone } from '../backbone/backbone.js'
import { checkChoice, checkKeys, checkNumber, wrongOption } from '../options.js'
import { resolveDevice, resolveThreads } from '../runtime/device.js'
import type { TrainerOptions } from '../train/trainer_options.js'
import { importSourceNames, importSources } from './index.js'
import type { ImportSource } from './source.js'

/** Options of `importAdapter()`. */
export interface ImportOptions {
  /** Which library's files they are: `adapterhub`, `adapter-bert`, `peft`. */
  readonly from: string
  /** The backbone that it is for: a folder, an .onnx file, a name, or one that is loaded. */
  readonly backbone: string | Backbone
  /** The folder of the run that is made. */
  readonly output: string
  /** Replace what is there. @default false */
  readonly overwrite?: boolean
  /** Names of the outputs in their order. @default those of the files, else LABEL_0, LABEL_1, ... */
  readonly labels?: readonly string[] | undefined
  /** Tokens a row may have. @default as it was exported, else 128 or all positions of the backbone */
  readonly maxLength?: number | undefined
  /** True where a row is two texts. @default as it was exported, else false */
  readonly pair?: boolean | undefined
  /** Take it although it was exported from another backbone file. @default false */
  readonly anyBackbone?: boolean
  /** @default 'auto' */
  readonly device?: TrainerOptions['device']
  /** @default all the system offers */
  readonly threads?: number | undefined
}

export interface ImportSettings extends ImportOptions {
  readonly path: string
  readonly source: ImportSource
  readonly overwrite: boolean
  readonly anyBackbone: boolean
}

const known = [
  'from',
  'backbone',
  'output',
  'overwrite',
  'labels',
  'maxLength',
  'pair',
  'anyBackbone',
  'device',
  'threads',
]

/** Checks everything that can be checked before any work. @throws OptionError ERR_OPTION */
export function resolveImportOptions(path: string, options: ImportOptions): ImportSettings {
  checkKeys('importAdapter', options, known)
  const { from, backbone, output, overwrite = false, anyBackbone = false, pair = false, labels, maxLength } = options
  const name = checkChoice('from', from, importSourceNames)
  for (const [option, value] of Object.entries({ path, output }))
    if (typeof value !== 'string' || value === '') throw wrongOption(option, 'a path', value)
  if (typeof backbone === 'string' ? backbone === '' : !isBackbone(backbone))
    throw wrongOption('backbone', 'a folder, an .onnx file, a name or a loaded backbone', backbone)
  for (const [option, value] of Object.entries({ overwrite, anyBackbone, pair }))
    if (typeof value !== 'boolean') throw wrongOption(option, 'true or false', value)
  if (labels !== undefined && !(Array.isArray(labels) && labels.every((label) => typeof label === 'string' && label)))
    throw wrongOption('labels', 'a list of names', labels)
  if (labels && new Set(labels).size !== labels.length) throw wrongOption('labels', 'a list of different names', labels)
  if (maxLength !== undefined) checkNumber('maxLength', maxLength, { least: 1, integer: true })
  resolveDevice(options.device)
  resolveThreads(options.threads)
  return { ...options, path, source: importSources.find((each) => each.name === name)!, overwrite, anyBackbone }
}
