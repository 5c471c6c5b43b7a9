import { writeOnnxAdapter, type AdapterTensor } from '../formats/onnx_adapter.js'
import { heads } from '../heads/index.js'
import { DataType } from '../onnx/schema.js'
import { packageVersion } from '../version.js'
import { compareWithEngine, type Comparison } from './check.js'
import type { Feed } from './check_child.js'
import { ModelEdit } from './edit.js'
import { gridOf } from './head.js'
import { NodeMaker } from './nodes.js'
import { prepareOutput } from './output.js'
import { InputParameters } from './parameters.js'
import { activationOf, headOf, readyTensors } from './ready.js'
import { spliceTask } from './splice.js'
import { checkAlike, inputShape, labelCounts, stackTensors, taskIndex } from './stack.js'
import type { ExportedRun, ExportPlace, ExportReport, ExportTarget } from './target.js'
import { valueInfo, writeEdited } from './write.js'

/** One model file whose adapters, LayerNorms and head are inputs, so that one session serves every such task. */
export const onnxInputs: ExportTarget = {
  name: 'onnx-inputs',
  description: 'one model file that takes the tensors of a task as inputs',
  form: 'file',
  several: true,
  needsHead: true,
  write: writeInputs,
}

/** The tensors that such a model takes, in a file that ONNX Runtime loads as an adapter. */
export const onnxAdapter: ExportTarget = {
  name: 'onnx-adapter',
  description: 'the tensors for it, as an .onnx_adapter file; of several runs, a stack for --mixed',
  form: 'file',
  several: true,
  needsHead: true,
  write: writeTensors,
}

async function writeInputs(runs: readonly ExportedRun[], place: ExportPlace): Promise<ExportReport> {
  const { output, verify, mixed } = place
  const { edit, names } = await makeGraph(runs, mixed)
  await prepareOutput(output, 'file')
  let compared: Comparison = { warnings: [] }
  const compare = async (file: string) => {
    for (const [index, run] of runs.entries()) {
      const tensors = mixed ? stackTensors(runs) : readyTensors(run)
      const inputs = Object.fromEntries([...rename(tensors, names)].map(([name, tensor]) => [name, feedOf(tensor)]))
      const task = mixed ? { task: { input: names.get(taskIndex)!, index } } : {}
      compared = worse(compared, await compareWithEngine(run, { file, graph: edit.graph, inputs, ...task }))
    }
  }
  const files = await writeEdited(edit, place, verify ? compare : undefined)
  return { files, ...compared }
}

async function writeTensors(runs: readonly ExportedRun[], { output, mixed }: ExportPlace): Promise<ExportReport> {
  const stacked = mixed || runs.length > 1
  // The names are those that the graph's inputs have.
  const { names } = await makeGraph(runs, stacked)
  await prepareOutput(output, 'file')
  await writeOnnxAdapter(output, rename(stacked ? stackTensors(runs) : readyTensors(runs[0]!), names))
  return { files: [output], warnings: [] }
}

/** The graph for such runs, and what its inputs are called by the public names of tensors. */
async function makeGraph(
  runs: readonly ExportedRun[],
  mixed: boolean,
): Promise<{ edit: ModelEdit; names: ReadonlyMap<string, string> }> {
  checkAlike(runs)
  const [run] = runs
  const { imported, file } = run!.backbone
  const edit = await ModelEdit.open(file)
  const shapes = new Map([...run!.tensors].map(([name, { shape }]) => [name, inputShape(name, shape)]))
  const own = new Map<string, string>()
  const { batch } = gridOf(edit, imported)
  const add = (name: string, dims: readonly (number | string)[]) => {
    const input = edit.fresh(name)
    own.set(name, input)
    edit.inputs.push(valueInfo(input, DataType.int64, dims))
    return input
  }
  const index = mixed ? add(taskIndex, [batch]) : undefined
  const source = new InputParameters(edit, shapes, index)
  const head = { ...headOf(run!), outputs: 'labels' }
  spliceTask(edit, imported, { head, activation: activationOf(run!), source })
  if (index !== undefined) {
    edit.free('label_count')
    const counts = add(labelCounts, ['tasks'])
    new NodeMaker(edit, edit.tail, 'head').add('Gather', [counts, index], { axis: 0 }, 'label_count')
    edit.outputs.push(valueInfo('label_count', DataType.int64, [batch]))
  }
  describeGraph(edit, run!, mixed)
  return { edit, names: new Map([...source.names, ...own]) }
}

/** What must be the same of every task whose tensors it takes. */
function describeGraph({ metadata }: ModelEdit, run: ExportedRun, mixed: boolean): void {
  const { kind, pool } = headOf(run)
  metadata.set('onnx_adapters.version', packageVersion())
  metadata.set('onnx_adapters.backbone', run.record.backbone.name)
  metadata.set('onnx_adapters.backbone_sha256', run.record.backbone.sha256)
  metadata.set('onnx_adapters.inputs', mixed ? 'tasks' : 'task')
  metadata.set('onnx_adapters.head', heads[kind].perToken ? kind : pool)
  metadata.set('onnx_adapters.activation', activationOf(run))
}

function rename<T>(tensors: ReadonlyMap<string, T>, names: ReadonlyMap<string, string>): Map<string, T> {
  return new Map([...tensors].map(([name, tensor]) => [names.get(name) ?? name, tensor]))
}

function feedOf({ shape, data }: AdapterTensor): Feed {
  return { type: data instanceof Float32Array ? 'float32' : 'int64', dims: shape, data }
}

function worse(a: Comparison, b: Comparison): Comparison {
  const differences = [a.maxAbsDifference, b.maxAbsDifference].filter((each) => each !== undefined)
  return {
    ...(differences.length > 0 ? { maxAbsDifference: Math.max(...differences) } : {}),
    warnings: a.warnings.length > 0 ? a.warnings : b.warnings,
  }
}
