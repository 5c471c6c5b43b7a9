import { packageVersion } from '../version.js'
import { compareWithEngine, type Comparison } from './check.js'
import { ModelEdit } from './edit.js'
import { prepareOutput } from './output.js'
import { FixedParameters } from './parameters.js'
import { activationOf, headOf, labelsOf, rangeOf, readyTensors } from './ready.js'
import { spliceTask } from './splice.js'
import type { ExportedRun, ExportPlace, ExportReport, ExportTarget } from './target.js'
import { isBackboneWeight, spliceWeights } from './weights.js'
import { writeEdited } from './write.js'

/** One model file: the backbone's own graph with adapters, LayerNorms and head of the run in it. */
export const onnx: ExportTarget = {
  name: 'onnx',
  description: "one model file: the backbone's own graph with the task in it",
  form: 'file',
  several: false,
  needsHead: true,
  write: ([run], place) => writeOnnx(run!, place),
}

export async function writeOnnx(run: ExportedRun, place: ExportPlace): Promise<ExportReport> {
  const { output, verify } = place
  const { imported, file } = run.backbone
  const edit = await ModelEdit.open(file)
  const tensors = readyTensors(run)
  const source = new FixedParameters(edit, tensors)
  spliceTask(edit, imported, { head: headOf(run), activation: activationOf(run), source })
  if ([...tensors.keys()].some(isBackboneWeight)) spliceWeights(edit, imported.anchors!, tensors)
  describe(edit, run)
  await prepareOutput(output, 'file')
  let compared: Comparison = { warnings: [] }
  const compare = async (file: string) => {
    compared = await compareWithEngine(run, { file, graph: edit.graph })
  }
  const files = await writeEdited(edit, place, verify ? compare : undefined)
  return { files, ...compared }
}

/** What a program that loads the model may want to know of it. */
function describe(edit: ModelEdit, { record, task, name }: ExportedRun): void {
  const { metadata } = edit
  metadata.set('onnx_adapters.version', packageVersion())
  metadata.set('onnx_adapters.run', name)
  metadata.set('onnx_adapters.task', task.kind)
  metadata.set('onnx_adapters.backbone', record.backbone.name)
  metadata.set('onnx_adapters.backbone_sha256', record.backbone.sha256)
  metadata.set('onnx_adapters.max_length', String(record.options.maxLength))
  const labels = labelsOf(record.task)
  if (labels) metadata.set('onnx_adapters.labels', JSON.stringify(labels))
  const range = rangeOf(record.task)
  if (range) metadata.set('onnx_adapters.range', JSON.stringify(range))
}
