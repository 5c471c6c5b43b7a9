import { isBackbone, type Backbone } from '../backbone/backbone.js'
import { OptionError } from '../errors.js'
import { checkChoice, checkKeys, show, wrongOption } from '../options.js'
import type { OpenRunOptions } from '../train/open_run.js'
import { exportTargetNames, exportTargets } from './index.js'
import type { ExportTarget } from './target.js'

/** Options of `exportRun()`. */
export interface ExportOptions extends Omit<OpenRunOptions, 'precision'> {
  /** Where it goes: `onnx`, `onnx-inputs`, `onnx-adapter`, `transformers.js`, ... */
  readonly to: string
  /** The file, or the folder for targets of several files. */
  readonly output: string
  /** Replace what is there. @default false */
  readonly overwrite?: boolean
  /** Compare the result with the engine, where ONNX Runtime is installed. @default true */
  readonly verify?: boolean
  /** For `onnx-inputs`: tensors stacked by tasks, and an input that picks the task of each row. @default false */
  readonly mixed?: boolean
}

export interface ExportSettings {
  readonly target: ExportTarget
  readonly folders: readonly string[]
  readonly output: string
  readonly overwrite: boolean
  readonly verify: boolean
  readonly mixed: boolean
}

const known = ['to', 'output', 'overwrite', 'verify', 'mixed', 'backbone', 'device', 'threads']

/** Checks everything that can be checked before any work. @throws OptionError ERR_OPTION */
export function resolveExportOptions(runs: string | readonly string[], options: ExportOptions): ExportSettings {
  checkKeys('exportRun', options, known)
  const { to, output, overwrite = false, verify = true, mixed = false } = options
  const name = checkChoice('to', to, exportTargetNames)
  const target = exportTargets.find((each) => each.name === name)!
  if (typeof output !== 'string' || output === '') throw wrongOption('output', `a ${target.form}`, output)
  for (const [option, value] of Object.entries({ overwrite, verify, mixed }))
    if (typeof value !== 'boolean') throw wrongOption(option, 'true or false', value)
  if (mixed && !target.several) {
    const others = exportTargets.filter(({ several }) => several).map((each) => each.name)
    const message = `option "mixed" belongs to exports to ${others.join(', ')}, not to ${name}: leave it out`
    throw new OptionError('ERR_OPTION', message, { option: 'mixed', got: name, expected: others })
  }
  checkBackbone(options.backbone)
  return { target, folders: checkRuns(runs, target), output, overwrite, verify, mixed }
}

function checkBackbone(backbone: string | Backbone | undefined): void {
  if (backbone === undefined || isBackbone(backbone) || (typeof backbone === 'string' && backbone !== '')) return
  throw wrongOption('backbone', 'a folder, an .onnx file, a name or a loaded backbone', backbone)
}

function checkRuns(runs: string | readonly string[], target: ExportTarget): readonly string[] {
  const list = typeof runs === 'string' ? [runs] : runs
  if (!Array.isArray(list) || list.length === 0 || !list.every((each) => typeof each === 'string' && each !== '')) {
    const message = `exportRun: expected the folder of a run, or several, got ${show(runs)}`
    throw new OptionError('ERR_OPTION', message, { got: runs })
  }
  if (list.length === 1 || target.several) return list
  throw new OptionError('ERR_OPTION', `exports to ${target.name} are of one run, not of ${list.length}`, {
    option: 'to',
    got: target.name,
    expected: exportTargets.filter(({ several }) => several).map(({ name }) => name),
  })
}
