import { askChild } from '../backbone/child.js'
import { absentRuntime, runtimeVersion } from '../backbone/verify.js'
import { ExportError } from '../errors.js'
import { heads } from '../heads/index.js'
import type { OnnxGraph } from '../onnx/schema.js'
import { encoderLimits, type Rows } from '../train/batch.js'
import type { Warning } from '../train/progress.js'
import type { Feed, RunAnswer, RunRequest } from './check_child.js'
import { outputNames } from './head.js'
import { rangeOf } from './ready.js'
import { feedsOf, makeBatches, type CheckBatch } from './rows.js'
import type { ExportedRun } from './target.js'

/** Of max(1, largest |logit|). */
const stopAbove = { float: 2e-5, half: 2e-2 }

export interface Comparison {
  readonly maxAbsDifference?: number
  readonly warnings: readonly Warning[]
}

export interface CheckedModel {
  readonly file: string
  /** Of the backbone, which says what its inputs are. */
  readonly graph: OnnxGraph
  /** Further inputs. */
  readonly inputs?: Readonly<Record<string, Feed>>
  /** Names of the inputs that pick the task of each row, and which one it is. */
  readonly task?: { readonly input: string; readonly index: number }
}

/**
 * Compares what an exported model gives in ONNX Runtime with what the engine gives, on rows of several lengths in one
 * padded batch where the file takes a mask.
 * @throws ExportError ERR_EXPORT_DIFFERS
 */
export async function compareWithEngine(run: ExportedRun, model: CheckedModel): Promise<Comparison> {
  const { imported } = run.backbone
  if (runtimeVersion() === undefined) return notCompared(`onnxruntime-node is ${absentRuntime}`)
  const batches = makeBatches(imported)
  const outputs = outputNames(run.task.kind)
  const request: RunRequest = {
    model: model.file,
    outputs,
    shared: model.inputs ?? {},
    runs: batches.map((batch) => ({ ...feedsOf(batch, imported, model.graph), ...pickTask(model, batch) })),
  }
  const [answer, ours] = await Promise.all([
    askChild<RunAnswer>(new URL('./check_child.js', import.meta.url), request),
    run.forward(batches.map((batch) => rowsOf(run, batch))),
  ])
  if (answer.kind === 'absent') return notCompared(`onnxruntime-node cannot be loaded: ${answer.reason}`)
  if (answer.kind === 'failed') throw differs(run, model.file, `ONNX Runtime cannot run it: ${answer.reason}`)
  let maxAbsDifference = 0
  let largest = 1
  for (const [i, batch] of batches.entries()) {
    const theirs = toRows(run, batch, answer.results[i]!)
    for (const [j, row] of ours[i]!.entries()) {
      for (const [k, value] of row.entries()) {
        const difference = Math.abs(value - theirs[j]![k]!)
        // A NaN on either side must not pass as a small difference.
        maxAbsDifference = difference >= 0 ? Math.max(maxAbsDifference, difference) : Infinity
        largest = Math.max(largest, Math.abs(value))
      }
    }
  }
  const limit = largest * (imported.config.weightType === 'f16' ? stopAbove.half : stopAbove.float)
  if (!(maxAbsDifference <= limit)) {
    const found = `its largest difference from the engine is ${maxAbsDifference.toExponential(1)}, allowed ${limit.toExponential(1)}`
    throw differs(run, model.file, found, { found: maxAbsDifference, expected: limit })
  }
  return { maxAbsDifference, warnings: [] }
}

function notCompared(why: string): Comparison {
  const message = `the exported model was not compared with the engine: ${why}`
  return { warnings: [{ code: 'WARN_EXPORT_UNCHECKED', message }] }
}

function differs(run: ExportedRun, file: string, what: string, details: object = {}): ExportError {
  return new ExportError(
    'ERR_EXPORT_DIFFERS',
    `the export of ${run.name} is not what was trained: ${what}. Nothing was written; please report it with the name of the backbone`,
    { run: run.name, file, ...details },
  )
}

function pickTask({ task }: CheckedModel, { rows }: CheckBatch): Record<string, Feed> {
  if (!task) return {}
  const data = new BigInt64Array(rows.length).fill(BigInt(task.index))
  return { [task.input]: { type: 'int64', dims: [rows.length], data } }
}

function rowsOf({ backbone }: ExportedRun, { rows }: CheckBatch): Rows {
  const typed = encoderLimits(backbone.imported.graph).tokenTypes > 1
  return {
    inputIds: rows.map(({ ids }) => ids),
    ...(typed ? { tokenTypeIds: rows.map(({ types }) => types) } : {}),
  }
}

/** Results of ONNX Runtime as the engine gives them: [outputs], or [length · outputs], for each row. */
function toRows(
  { task, record }: ExportedRun,
  { rows, length }: CheckBatch,
  results: Readonly<Record<string, Float32Array>>,
): Float32Array[] {
  const names = outputNames(task.kind)
  const range = rangeOf(record.task)
  return rows.map(({ ids }, row) => {
    if (names.length > 1) {
      const lists = names.map((name) => results[name]!.subarray(row * length))
      return Float32Array.from(
        { length: ids.length * names.length },
        (_, i) => lists[i % names.length]![Math.floor(i / names.length)]!,
      )
    }
    const values = results['logits']!
    const size = values.length / rows.length
    const own = values.subarray(row * size, (row + 1) * size)
    // Of several tasks, the widest head says how wide all are.
    if (heads[task.kind].perToken) {
      const width = size / length
      const tokens = ids.map((_, i) => own.subarray(i * width, i * width + task.outputs))
      return Float32Array.from(tokens.flatMap((each) => [...each]))
    }
    if (!range) return own.slice(0, task.outputs)
    return own.slice(0, 1).map((value) => (value - range.minimum) / (range.maximum - range.minimum))
  })
}
