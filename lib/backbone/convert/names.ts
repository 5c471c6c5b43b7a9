import type { Family } from './config.js'

/** Where a family's state dict keeps the parts of an encoder; linear layers and norms have `.weight` and `.bias`. */
export interface TensorNames {
  readonly word: string
  readonly position: string
  readonly tokenType: string
  readonly embeddingNorm: string
  /** From the width of the tables to that of the layers, where these differ. */
  readonly projection: string
  readonly layer: (i: number) => LayerNames
  readonly pooler: string
}

export interface LayerNames {
  readonly query: string
  readonly key: string
  readonly value: string
  readonly output: string
  readonly attentionNorm: string
  readonly up: string
  readonly down: string
  readonly outputNorm: string
}

const embeddings = {
  word: 'embeddings.word_embeddings.weight',
  position: 'embeddings.position_embeddings.weight',
  tokenType: 'embeddings.token_type_embeddings.weight',
  embeddingNorm: 'embeddings.LayerNorm',
  projection: 'embeddings_project',
  pooler: 'pooler.dense',
}

const bert: TensorNames = {
  ...embeddings,
  layer: (i) => {
    const layer = `encoder.layer.${i}`
    return {
      query: `${layer}.attention.self.query`,
      key: `${layer}.attention.self.key`,
      value: `${layer}.attention.self.value`,
      output: `${layer}.attention.output.dense`,
      attentionNorm: `${layer}.attention.output.LayerNorm`,
      up: `${layer}.intermediate.dense`,
      down: `${layer}.output.dense`,
      outputNorm: `${layer}.output.LayerNorm`,
    }
  },
}

const distilbert: TensorNames = {
  ...embeddings,
  layer: (i) => {
    const layer = `transformer.layer.${i}`
    return {
      query: `${layer}.attention.q_lin`,
      key: `${layer}.attention.k_lin`,
      value: `${layer}.attention.v_lin`,
      output: `${layer}.attention.out_lin`,
      attentionNorm: `${layer}.sa_layer_norm`,
      up: `${layer}.ffn.lin1`,
      down: `${layer}.ffn.lin2`,
      outputNorm: `${layer}.output_layer_norm`,
    }
  },
}

export function tensorNames(family: Family): TensorNames {
  return family === 'distilbert' ? distilbert : bert
}

/** What stands before the names in files of a model with a head, or of a wrapper, in the order in which it is tried. */
export const prefixes = ['', 'bert.', 'roberta.', 'distilbert.', 'electra.', 'model.', 'encoder.', 'base_model.']
