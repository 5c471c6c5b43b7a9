import { outputsByExample, type Dataset, type EncodedRows } from '../data/dataset.js'
import type { Scores, Task } from '../data/tasks/index.js'

/** The part of Trainer that evaluation needs. */
export interface ForwardModel {
  forward(batch: {
    inputIds: readonly (readonly number[])[]
    tokenTypeIds: readonly (readonly number[])[]
  }): Promise<Float32Array[]>
}

/** Rows of one forward pass: enough to keep all threads busy. */
const rowsPerBatch = 32

/** Outputs of the head for all rows, in their order: f32[outputs] each, or f32[length · outputs] for heads over tokens. */
export async function forwardRows(
  model: ForwardModel,
  rows: EncodedRows,
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const outputs: Float32Array[] = []
  for (let start = 0; start < rows.inputIds.length; start += rowsPerBatch) {
    signal?.throwIfAborted()
    const end = start + rowsPerBatch
    const batch = { inputIds: rows.inputIds.slice(start, end), tokenTypeIds: rows.tokenTypeIds.slice(start, end) }
    for (const output of await model.forward(batch)) outputs.push(output)
  }
  return outputs
}

/** Loss and metrics of a model on labelled rows. */
export async function scoreRows(model: ForwardModel, task: Task, rows: Dataset, signal?: AbortSignal): Promise<Scores> {
  return task.score(outputsByExample(rows, await forwardRows(model, rows, signal)))
}
