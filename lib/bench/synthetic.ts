import { philox } from '../adapters/philox.js'
import { Backbone } from '../backbone/backbone.js'
import { DataError } from '../errors.js'
import type { ImportedEncoder } from '../onnx/import.js'
import { buildBert, shapes, type ContentOf, type BertShape, type ShapeName } from './encoder.js'

/** A backbone of a published shape with random weights, in memory: speed does not depend on what the weights are. */
export function syntheticBackbone(name: ShapeName): Backbone {
  const shape: BertShape = shapes[name]
  let parameters = 0
  const content = randomContent()
  const source = buildBert(shape, (tensor, size) => {
    parameters += size
    return content(tensor, size)
  })
  const imported: ImportedEncoder = {
    graph: source.graph,
    ...(source.pooler ? { pooler: source.pooler } : {}),
    config: {
      ...shape,
      architecture: 'bert',
      activation: 'gelu',
      embedding: shape.hidden,
      positionOffset: 0,
      epsilon: 1e-12,
      inputs: [],
      parameters,
      weightType: 'f32',
    },
    hiddenOutput: '',
    hiddenIsGraphOutput: false,
    inputNames: { ids: '' },
  }
  return new Backbone({
    name: `${name} (random weights)`,
    file: '',
    sha256: '',
    imported,
    loadTokenizer: () => Promise.reject(new DataError('ERR_TOKENIZER', 'random weights have no tokenizer')),
    verify: () => Promise.resolve({}),
  })
}

/** Numbers in one table; a prime, so that rows of matrices differ. */
const tableSize = 65_537

/** LayerNorms that change nothing, biases of 0, and else numbers from -0.05 to 0.05 (standard deviation 0.029). */
export function randomContent(seed = 7): ContentOf {
  const table = Float32Array.from(
    { length: tableSize },
    (_, i) => (philox([i, 0, 0, 0], [seed, 0])[0] / 2 ** 32 - 0.5) / 10,
  )
  return (name, size) => {
    const data = new Float32Array(size)
    if (name.endsWith('layer_norm.weight')) return data.fill(1)
    if (name.endsWith('bias')) return data
    for (let at = 0; at < size; at += tableSize) data.set(table.subarray(0, Math.min(tableSize, size - at)), at)
    return data
  }
}
