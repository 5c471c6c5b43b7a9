/** ONNX Runtime, as the child processes that run it load it. */
import type * as OnnxRuntime from 'onnxruntime-node'
import type { InferenceSession } from 'onnxruntime-node'

export type Runtime = typeof OnnxRuntime

/** @throws where it is not installed, or not whole */
export async function loadRuntime(): Promise<Runtime> {
  const module = await import('onnxruntime-node')
  return (module as unknown as { default?: Runtime }).default ?? module
}

/** On one thread, and without its optimisations: they replace exact functions by approximations (GELU). */
export function openModel(runtime: Runtime, model: string): Promise<InferenceSession> {
  return runtime.InferenceSession.create(model, { graphOptimizationLevel: 'disabled', intraOpNumThreads: 1 })
}
