/**
 * Runs a run in the engine, in a process of its own, so that the exporting one never holds the backbone's weights. Gets
 * one EngineRequest by message, answers with one EngineAnswer, and ends.
 */

import { openRun, type OpenRunOptions } from '../train/open_run.js'
import type { Rows } from '../train/batch.js'

export interface EngineRequest {
  readonly run: string
  readonly options: { readonly backbone: string } & Pick<OpenRunOptions, 'device' | 'threads'>
  readonly batches: readonly Rows[]
}

export type EngineAnswer =
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'done'; readonly logits: readonly (readonly Float32Array[])[] }

async function answer({ run, options, batches }: EngineRequest): Promise<EngineAnswer> {
  try {
    const { model, backbone } = await openRun(run, options)
    // The engine has its own form of the weights now.
    backbone.release()
    const logits: Float32Array[][] = []
    for (const batch of batches) logits.push(await model.forward(batch))
    await model.dispose()
    return { kind: 'done', logits }
  } catch (error) {
    return { kind: 'failed', reason: (error as Error).message }
  }
}

process.once('message', (request: EngineRequest) => {
  void answer(request).then((result) => process.send!(result, () => process.disconnect()))
})
