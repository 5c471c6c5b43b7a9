/**
 * Runs an exported model in ONNX Runtime, in a process of its own. Gets one RunRequest by message, answers with one
 * RunAnswer, and ends.
 */

import type { Tensor } from 'onnxruntime-node'
import { loadRuntime, openModel, type Runtime } from '../backbone/runtime.js'

/** A tensor on its way to the process or back. */
export interface Feed {
  readonly type: 'float32' | 'int64' | 'int32'
  readonly dims: readonly number[]
  readonly data: Float32Array | BigInt64Array | Int32Array
}

export interface RunRequest {
  readonly model: string
  /** Inputs of each run. */
  readonly runs: readonly Readonly<Record<string, Feed>>[]
  /** Inputs of all runs. */
  readonly shared?: Readonly<Record<string, Feed>>
  readonly outputs: readonly string[]
}

export type RunAnswer =
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'done'; readonly results: readonly Readonly<Record<string, Float32Array>>[] }

async function answer({ model, runs, shared = {}, outputs }: RunRequest): Promise<RunAnswer> {
  let runtime: Runtime
  try {
    runtime = await loadRuntime()
  } catch (error) {
    return { kind: 'absent', reason: (error as Error).message }
  }
  try {
    const session = await openModel(runtime, model)
    const tensors = (feeds: Readonly<Record<string, Feed>>) =>
      Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, makeTensor(runtime, feed)]))
    const always = tensors(shared)
    const results: Record<string, Float32Array>[] = []
    for (const feeds of runs) {
      const found = await session.run({ ...always, ...tensors(feeds) }, [...outputs])
      results.push(Object.fromEntries(outputs.map((name) => [name, found[name]!.data as Float32Array])))
    }
    return { kind: 'done', results }
  } catch (error) {
    return { kind: 'failed', reason: (error as Error).message }
  }
}

function makeTensor(runtime: Runtime, { type, dims, data }: Feed): Tensor {
  switch (type) {
    case 'float32':
      return new runtime.Tensor('float32', data as Float32Array, dims)
    case 'int64':
      return new runtime.Tensor('int64', data as BigInt64Array, dims)
    case 'int32':
      return new runtime.Tensor('int32', data as Int32Array, dims)
    default:
      return type satisfies never
  }
}

process.once('message', (request: RunRequest) => {
  void answer(request).then((result) => process.send!(result, () => process.disconnect()))
})
