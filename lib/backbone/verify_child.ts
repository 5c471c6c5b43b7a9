/**
 * Runs a model in ONNX Runtime, in a process of its own: a fault of that library, or its threads, then cannot touch
 * ours. Gets one ReferenceRequest by message, answers with one ReferenceAnswer, and ends.
 */

import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { halvesToFloats } from '../ir/content.js'
import { loadRuntime, openModel, type Runtime } from './runtime.js'

export interface ReferenceRequest {
  /** Model file. */
  readonly model: string
  /** Name of the output that holds the hidden states. */
  readonly output: string
  readonly inputNames: { readonly ids: string; readonly mask?: string; readonly types?: string }
  /** [batch, sequence] of a model that was exported for one shape. */
  readonly fixedShape?: readonly [number, number]
  readonly rows: readonly ReferenceRow[]
}

export interface ReferenceRow {
  readonly ids: readonly number[]
  readonly types: readonly number[]
}

export type ReferenceAnswer =
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string }
  | {
      readonly kind: 'done'
      /** The rows that ran: for a model of a fixed shape, cut and repeated to fit. */
      readonly rows: readonly ReferenceRow[]
      /** Hidden states of each row, f32[length · hidden]. */
      readonly hidden: readonly Float32Array[]
    }

async function answer(request: ReferenceRequest): Promise<ReferenceAnswer> {
  let runtime: Runtime
  try {
    runtime = await loadRuntime()
  } catch (error) {
    return { kind: 'absent', reason: (error as Error).message }
  }
  try {
    return await compute(runtime, request)
  } catch (error) {
    return { kind: 'failed', reason: (error as Error).message }
  }
}

async function compute(runtime: Runtime, request: ReferenceRequest): Promise<ReferenceAnswer> {
  const session = await openModel(runtime, request.model)
  const batches = fitRows(request.rows, request.fixedShape)
  const rows: ReferenceRow[] = []
  const hidden: Float32Array[] = []
  for (const batch of batches) {
    const results = await session.run(feeds(runtime, session, request.inputNames, batch), [request.output])
    const values = toFloats(results[request.output]!)
    const size = values.length / batch.length
    for (const [i, row] of batch.entries()) {
      rows.push(row)
      hidden.push(values.slice(i * size, (i + 1) * size))
    }
  }
  return { kind: 'done', rows, hidden }
}

/** One row at a time; a model of a fixed shape gets all of its rows at once. */
function fitRows(rows: readonly ReferenceRow[], shape: ReferenceRequest['fixedShape']): (readonly ReferenceRow[])[] {
  return shape ? [rows] : rows.map((row) => [row])
}

function feeds(
  runtime: Runtime,
  session: InferenceSession,
  names: ReferenceRequest['inputNames'],
  rows: readonly ReferenceRow[],
): Record<string, Tensor> {
  const shape = [rows.length, rows[0]!.ids.length]
  const result: Record<string, Tensor> = {}
  for (const input of session.inputMetadata) {
    if (!input.isTensor) throw new Error(`input "${input.name}" is not a tensor`)
    const values = rows.flatMap(({ ids, types }) =>
      input.name === names.ids ? ids : input.name === names.types ? types : ids.map(() => 1),
    )
    result[input.name] = makeTensor(runtime, input.type, values, shape)
  }
  return result
}

function makeTensor(runtime: Runtime, type: string, values: readonly number[], shape: readonly number[]): Tensor {
  switch (type) {
    case 'int64':
      return new runtime.Tensor('int64', BigInt64Array.from(values, BigInt), shape)
    case 'int32':
      return new runtime.Tensor('int32', Int32Array.from(values), shape)
    case 'float32':
      return new runtime.Tensor('float32', Float32Array.from(values), shape)
    default:
      throw new Error(`an input of type ${type} is not supported`)
  }
}

function toFloats(tensor: Tensor): Float32Array {
  if (tensor.type === 'float32') return tensor.data as Float32Array
  if (tensor.type !== 'float16') throw new Error(`the hidden states are ${tensor.type}, expected float32 or float16`)
  // Bits of half floats, or the floats themselves where the engine has a Float16Array.
  return tensor.data instanceof Uint16Array
    ? halvesToFloats(tensor.data)
    : Float32Array.from(tensor.data as Float32Array)
}

process.once('message', (request: ReferenceRequest) => {
  void answer(request).then((result) => process.send!(result, () => process.disconnect()))
})
