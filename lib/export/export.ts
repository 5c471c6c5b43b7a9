import { basename, resolve } from 'node:path'
import type { Backbone } from '../backbone/backbone.js'
import { ExportError, OptionError } from '../errors.js'
import { openRun } from '../train/open_run.js'
import { resolveExportOptions, type ExportOptions } from './options.js'
import { checkOutput } from './output.js'
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
  try {
    for (const folder of folders) {
      const run = await openExported(folder, target, { ...options, backbone })
      backbone = run.backbone
      opened.push(run)
    }
    refuseTwins(opened)
    const report = await target.write(opened, { output, overwrite, verify, mixed })
    return { to: target.name, output, ...report }
  } finally {
    for (const { model } of opened) await model.dispose()
  }
}

async function openExported(folder: string, target: ExportTarget, options: ExportOptions): Promise<ExportedRun> {
  const { backbone, device, threads } = options
  const run = await openRun(folder, { backbone, device, threads })
  try {
    if (run.record.status !== 'complete') {
      throw new ExportError(
        'ERR_EXPORT_UNFINISHED',
        `${folder}: this run is not finished: go on with it by train with option "resume", then export it`,
        { run: folder, found: run.record.status, expected: 'complete' },
      )
    }
    const tensors = await run.model.tensors()
    if (target.needsHead && !run.hasHead) throw noHead(folder, target)
    return { ...run, name: basename(resolve(folder)), tensors }
  } catch (error) {
    await run.model.dispose()
    throw error
  }
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
