/**
 * Runs an exported model in ONNX Runtime, in a process of its own. Gets one RunRequest by message, answers with one
 * RunAnswer, and ends.
 */

import type * as OnnxRuntime from 'onnxruntime-node'
import type { Tensor } from 'onnxruntime-node'

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

type Runtime = typeof OnnxRuntime

async function answer({ model, runs, shared = {}, outputs }: RunRequest): Promise<RunAnswer> {
  let runtime: Runtime
  try {
    const module = await import('onnxruntime-node')
    runtime = (module as unknown as { default?: Runtime }).default ?? module
  } catch (error) {
    return { kind: 'absent', reason: (error as Error).message }
  }
  try {
    // Without its optimisations: they replace exact functions by approximations (GELU).
    const session = await runtime.InferenceSession.create(model, {
      graphOptimizationLevel: 'disabled',
      intraOpNumThreads: 1,
    })
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
