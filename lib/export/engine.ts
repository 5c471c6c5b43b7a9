import type { Backbone } from '../backbone/backbone.js'
import { askChild } from '../backbone/child.js'
import { ExportError } from '../errors.js'
import type { Rows } from '../train/batch.js'
import { openRun, type OpenRunOptions } from '../train/open_run.js'
import type { EngineAnswer, EngineRequest } from './engine_child.js'

/** What the engine gives for batches of rows: a list of logits for each row of each batch. */
export type Engine = (batches: readonly Rows[]) => Promise<readonly (readonly Float32Array[])[]>

export interface EngineOptions extends Pick<OpenRunOptions, 'device' | 'threads'> {
  /** With the backbone that is in memory already; else in another process, which loads it. */
  readonly inProcess: boolean
}

/** The engine on a run; it is started when it is asked. */
export function engineOf(run: string, backbone: Backbone, { device, threads, inProcess }: EngineOptions): Engine {
  if (inProcess) return (batches) => runHere(run, { backbone, device, threads }, batches)
  return async (batches) => {
    const request: EngineRequest = { run, options: { backbone: backbone.file, device, threads }, batches }
    const answer = await askChild<EngineAnswer>(new URL('./engine_child.js', import.meta.url), request)
    if (answer.kind === 'done') return answer.logits
    const message = `${run}: the engine cannot run it: ${answer.reason}`
    throw new ExportError('ERR_EXPORT_DIFFERS', message, { run, expected: 'a run that the engine can run' })
  }
}

async function runHere(run: string, options: OpenRunOptions, batches: readonly Rows[]): Promise<Float32Array[][]> {
  const { model } = await openRun(run, options)
  try {
    const logits: Float32Array[][] = []
    for (const batch of batches) logits.push(await model.forward(batch))
    return logits
  } finally {
    await model.dispose()
  }
}
