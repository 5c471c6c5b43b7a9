/** A task's own parts in the graph of its backbone. */

import { ExportError } from '../errors.js'
import type { ImportedEncoder } from '../onnx/import.js'
import { spliceAdapter } from './adapter.js'
import type { ModelEdit } from './edit.js'
import { spliceHead, type HeadShape } from './head.js'
import { spliceNorm } from './norm.js'
import type { ParameterSource } from './parameters.js'

export interface SplicedTask {
  readonly head: HeadShape
  /** Of its adapters. */
  readonly activation: string
  readonly source: ParameterSource
}

/**
 * Puts adapters, LayerNorms and head of a task into the graph; only what the source has.
 * @throws ExportError ERR_EXPORT_UNSUPPORTED
 */
export function spliceTask(edit: ModelEdit, encoder: ImportedEncoder, { head, activation, source }: SplicedTask): void {
  const { anchors } = encoder
  if (!anchors) {
    const message = 'the backbone is from no model file, so there is no graph to put a task into'
    throw new ExportError('ERR_EXPORT_UNSUPPORTED', message, { expected: 'a backbone from a model file' })
  }
  const norm = (name: string, anchor: Parameters<typeof spliceNorm>[1]) => {
    const own = `${name}.layer_norm`
    const width = anchors.weights.get(`${own}.weight`)!.shape[0]!
    if (source.has(`${own}.weight`)) spliceNorm(edit, anchor, own, width, source)
  }
  norm('embeddings', anchors.embeddingNorm)
  for (const [i, layer] of anchors.layers.entries()) {
    for (const part of ['attention', 'ffn'] as const) {
      const name = `layer.${i}.${part}`
      if (source.has(`${name}.adapter.down.weight`)) spliceAdapter(edit, layer[part], name, activation, source)
      norm(name, layer[part].norm)
    }
  }
  spliceHead(edit, encoder, head, source)
}
