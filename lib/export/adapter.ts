import { ExportError } from '../errors.js'
import type { Alias, Aliases, SubLayerAnchor } from '../onnx/anchors.js'
import { DataType } from '../onnx/schema.js'
import type { Entry, ModelEdit } from './edit.js'
import { addActivation } from './activation.js'
import { NodeMaker } from './nodes.js'
import type { ParameterSource } from './parameters.js'

/**
 * Puts an adapter between a dense layer and the sum with its skip connection, Houlsby et al. 2019 §2.1: in the place of y
 * stands y + up(activation(down(y))), computed in float32.
 * @param name of the sub-layer, `layer.0.attention`
 * @throws ExportError ERR_EXPORT_UNSUPPORTED where the file keeps no place between them
 */
export function spliceAdapter(
  edit: ModelEdit,
  anchor: SubLayerAnchor,
  name: string,
  activation: string,
  source: ParameterSource,
): void {
  const values = anchor.dense ?? anchor.product
  const { rank = 3, type = DataType.float } = { ...values[0] }
  if (source.mixed && rank !== 3) throw noPlace(name, 'values [batch, sequence, width]')
  const adapt = (entry: Entry, dense: string, bias?: string): string => {
    const make = new NodeMaker(edit, entry.ahead, `${name}.adapter`)
    const y = bias ? make.add('Add', [dense, bias]) : dense
    const own = typeOf(values, dense) ?? type
    const x = make.cast(y, own, DataType.float)
    const linear = (input: string, part: string) => {
      const product = make.add('MatMul', [input, source.matrix(make, `${name}.adapter.${part}.weight`)])
      return make.add('Add', [product, source.vector(make, `${name}.adapter.${part}.bias`)])
    }
    const update = linear(addActivation(make, linear(x, 'down'), activation), 'up')
    return make.cast(make.add('Add', [x, update]), DataType.float, own)
  }
  let places = 0
  for (const entry of makers(edit, anchor.sum, 'Add')) {
    const at = operandIn(entry, anchor.dense ?? []) ?? operandNotIn(entry, anchor.skip)
    if (at === undefined || !anchor.dense) continue
    exchange(edit, entry, at, adapt(entry, entry.node.input[at]!))
    places++
  }
  for (const entry of makers(edit, anchor.norm.output, 'SkipLayerNormalization')) {
    const at = operandNotIn(entry, anchor.skip)
    if (at === undefined) continue
    // The dense layer's bias is the fused operator's fifth input: it goes before the adapter.
    const adapted = adapt(entry, entry.node.input[at]!, entry.node.input[4])
    const input = entry.node.input.slice(0, 4)
    input[at] = adapted
    edit.change(entry, { input })
    places++
  }
  if (places === 0) places = addAnew(edit, anchor, adapt)
  if (places === 0) throw noPlace(name, 'an Add of the dense layer and its skip connection, or SkipLayerNormalization')
}

/** A sum in another order, such as product + (bias + skip), is made anew: the old one then leads nowhere. */
function addAnew(
  edit: ModelEdit,
  { product, bias, skip, sum }: SubLayerAnchor,
  adapt: (entry: Entry, dense: string, bias?: string) => string,
): number {
  const [dense, other] = [product[0], skip[0]]
  if (!dense || !other || dense.rank !== other.rank) return 0
  const entries = makers(edit, sum, 'Add')
  for (const entry of entries)
    edit.change(entry, { opType: 'Add', input: [adapt(entry, dense.name, bias?.[0]?.name), other.name] })
  return entries.length
}

/** Nodes of the file that make one of the values. */
export function makers(edit: ModelEdit, values: Aliases, ...types: readonly string[]): Entry[] {
  const found = values.flatMap(({ name }) => edit.maker(name) ?? [])
  return [...new Set(found)].filter(({ node }) => types.includes(node.opType ?? ''))
}

export function exchange(edit: ModelEdit, entry: Entry, at: number, value: string): void {
  edit.change(entry, { input: entry.node.input.map((input, i) => (i === at ? value : input)) })
}

export function typeOf(values: Aliases, name: string): number | undefined {
  return values.find((alias: Alias) => alias.name === name)?.type
}

/** Which of the first two operands is one of the values. */
export function operandIn({ node }: Entry, values: Aliases): number | undefined {
  const at = node.input.slice(0, 2).findIndex((input) => values.some(({ name }) => name === input))
  return at < 0 ? undefined : at
}

/** The other operand than the one that is one of the values. */
export function operandNotIn(entry: Entry, values: Aliases): number | undefined {
  const at = operandIn(entry, values)
  return at === undefined ? undefined : 1 - at
}

export function noPlace(name: string, expected: string): ExportError {
  return new ExportError(
    'ERR_EXPORT_UNSUPPORTED',
    `${name}: the model file has no place for what was trained: expected ${expected}. Please report it with the name of the model`,
    { node: name, expected },
  )
}
