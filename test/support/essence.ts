/** What an import says apart from the names of the file, to compare the imports of files that say the same. */
import { isDeepStrictEqual } from 'node:util'
import type { ImportedEncoder } from '../../lib/onnx/import.js'
import { partNumbers, runEncoder } from './encoder_reference.js'

/** Configuration, nodes and weights. */
export function essence(imported: ImportedEncoder): unknown {
  const { inputs: _, ...config } = imported.config
  const nodes = imported.graph.nodes.map((node) => ({
    op: node.op,
    name: node.name,
    attributes: node.attributes,
    inputs: Object.entries(node.inputs).map(([operand, value]) => [
      operand,
      value.name,
      value.shape,
      value.parts?.map(hashPart),
    ]),
  }))
  return { config, nodes, pooler: imported.pooler?.weight.parts?.map(hashPart) }
}

function hashPart(part: Parameters<typeof partNumbers>[0]): unknown {
  const numbers = partNumbers(part)
  return [part.name, part.shape, numbers.reduce((sum, x, i) => sum + x * Math.sin(i + 1), 0)]
}

/**
 * The configuration without what depends on how weights are stored: weights that layers share are not known for shared
 * where they are stored in two ways.
 */
function computed({ config }: ImportedEncoder): object {
  const { parameters: _, architecture, ...rest } = config
  return { ...rest, architecture: architecture === 'albert' ? 'electra' : architecture }
}

/**
 * Why two imports are not the same: undefined where the graphs are equal with all weights, or where configuration and
 * computed values are.
 */
export function difference(imported: ImportedEncoder, truth: ImportedEncoder): string | undefined {
  if (isDeepStrictEqual(essence(imported), essence(truth))) return undefined
  const [config, wanted] = [computed(imported), computed(truth)]
  if (!isDeepStrictEqual(config, wanted)) return `${JSON.stringify(config)} instead of ${JSON.stringify(wanted)}`
  const length = Math.min(6, truth.config.positions)
  const row = Array.from({ length }, (_, i) => 4 + ((i * 7) % (truth.config.vocabulary - 4)))
  const tokens = { ids: row, types: row.map((_, i) => (i > 2 && truth.config.tokenTypes > 1 ? 1 : 0)), cu: [0, length] }
  const [found, expected] = [runEncoder(imported.graph, tokens), runEncoder(truth.graph, tokens)]
  const largest = found.reduce((most, x, i) => {
    const off = Math.abs(x - expected[i]!)
    return off <= most ? most : off
  }, 0)
  return largest <= 1e-5 ? undefined : `hidden states differ by ${largest}`
}
