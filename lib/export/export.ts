import { basename, resolve } from 'node:path'
import { isBackbone, type Backbone } from '../backbone/backbone.js'
import { loadStructure } from '../backbone/load.js'
import { ExportError, OptionError } from '../errors.js'
import { compileInference } from '../train/compile.js'
import { blameRecord, readRun, type ReadRun } from '../train/open_run.js'
import { blameFile } from '../train/run.js'
import { ownedViews } from '../train/task_model.js'
import { packTensors } from '../train/tensors.js'
import { resolveTrainerOptions } from '../train/trainer_options.js'
import { engineOf } from './engine.js'
import { resolveExportOptions, type ExportOptions } from './options.js'
import { checkOutput, refuseBackboneFolder } from './output.js'
import type { ExportedRun, ExportReport, ExportTarget } from './target.js'

export interface ExportResult extends ExportReport {
  readonly to: string
  readonly output: string
}

/**
 * Takes a finished run elsewhere: into a model or folder of another program.
 *
 * @param runs the folder of a run; of targets that take several, a list of those of one backbone
 * @throws OptionError ERR_OPTION, ERR_OUTPUT_EXISTS; RunError ERR_RUN_*; ExportError ERR_EXPORT_*; OnnxImportError
 * ERR_ONNX_*; DeviceError
 */
export async function exportRun(runs: string | readonly string[], options: ExportOptions): Promise<ExportResult> {
  const { target, folders, output, overwrite, verify, mixed } = resolveExportOptions(runs, options)
  await checkOutput(output, target.form, overwrite)
  const opened: ExportedRun[] = []
  let { backbone }: { backbone?: string | Backbone | undefined } = options
  for (const folder of folders) {
    const run = await openExported(folder, target, options, backbone)
    backbone = run.backbone
    opened.push(run)
  }
  refuseTwins(opened)
  if (target.form === 'folder') await refuseBackboneFolder(output, opened[0]!.backbone.file)
  const report = await target.write(opened, { output, overwrite, verify, mixed })
  return { to: target.name, output, ...report }
}

/** @param backbone that of the runs before, else that of the options */
async function openExported(
  folder: string,
  target: ExportTarget,
  options: ExportOptions,
  backbone: string | Backbone | undefined,
): Promise<ExportedRun> {
  const { device, threads } = options
  const files = await readRun(folder, { backbone, device, threads }, loadStructure)
  const { record, tensors } = files
  if (record.status !== 'complete') {
    throw new ExportError(
      'ERR_EXPORT_UNFINISHED',
      `${folder}: this run is not finished: go on with it by train with option "resume", then export it`,
      { run: folder, found: record.status, expected: 'complete' },
    )
  }
  if (target.needsHead && !tensors.has('head.weight')) throw noHead(folder, target)
  await checkTensors(folder, files)
  const forward = engineOf(folder, files.backbone, { device, threads, inProcess: isBackbone(options.backbone) })
  return { ...files, name: basename(resolve(folder)), forward }
}

/** What the engine would say of them, without one. @throws RunError ERR_RUN_FILE, ERR_RUN_RECORD */
async function checkTensors(folder: string, run: ReadRun): Promise<void> {
  const { layout } = await blameRecord(folder, () =>
    compileInference(run.backbone.imported, resolveTrainerOptions(run.options)),
  )
  const flat = new Float32Array(layout.size)
  await blameFile(run.file, () => Promise.resolve(packTensors(flat, ownedViews(layout), run.tensors)))
}

function noHead(folder: string, { name }: ExportTarget): ExportError {
  return new ExportError(
    'ERR_EXPORT_HEAD',
    `${folder}: this run has no head, so there is nothing that ${name} could predict: train one on it`,
    { run: folder, expected: 'tensors head.weight and head.bias' },
  )
}

/** Tasks are called by the last parts of their folders. */
function refuseTwins(runs: readonly ExportedRun[]): void {
  const twin = runs.find(({ name }, i) => runs.findIndex((other) => other.name === name) < i)
  if (!twin) return
  throw new OptionError(
    'ERR_OPTION',
    `exportRun: two runs are called "${twin.name}"; the last part of the folder is the name`,
    { got: twin.name },
  )
}
