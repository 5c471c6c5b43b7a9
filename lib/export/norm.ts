import type { NormAnchor } from '../onnx/anchors.js'
import { AttributeType, DataType, type OnnxNode } from '../onnx/schema.js'
import { exchange, makers, noPlace, operandIn, operandNotIn, typeOf } from './adapter.js'
import type { Entry, ModelEdit } from './edit.js'
import { NodeMaker } from './nodes.js'
import type { ParameterSource } from './parameters.js'

/** Where the operators of a LayerNorm have gamma; beta comes next. */
const gammaAt: Readonly<Record<string, number>> = {
  LayerNormalization: 1,
  SkipLayerNormalization: 2,
  EmbedLayerNormalization: 5,
}

/**
 * Gives a LayerNorm another gamma and beta, whichever way the file spells it; tensors that several share stay as they are
 * for the others.
 * @param name `layer.0.attention.layer_norm`
 * @param width of what it normalises
 * @throws ExportError ERR_EXPORT_UNSUPPORTED where the file keeps no place for them
 */
export function spliceNorm(
  edit: ModelEdit,
  anchor: NormAnchor,
  name: string,
  width: number,
  source: ParameterSource,
): void {
  const parameter = (entry: Entry, part: 'weight' | 'bias', type: number) => {
    const make = new NodeMaker(edit, entry.ahead, name)
    return make.cast(source.vector(make, `${name}.${part}`), DataType.float, type)
  }
  const type = anchor.output[0]?.type ?? DataType.float
  let places = 0
  for (const entry of makers(edit, anchor.output, ...Object.keys(gammaAt))) {
    const at = gammaAt[entry.node.opType!]!
    const own = typeOf(anchor.gamma, entry.node.input[at]!) ?? type
    const [gamma, beta] = [parameter(entry, 'weight', own), parameter(entry, 'bias', own)]
    if (source.mixed) scaleBehind(edit, entry, at, name, { gamma, beta, width, type: own })
    else {
      exchange(edit, entry, at, gamma)
      exchange(edit, entry, at + 1, beta)
    }
    places++
  }
  for (const entry of makers(edit, anchor.output, 'Add')) {
    const products = makers(edit, anchor.product ?? [], 'Mul')
    const at = operandNotIn(entry, anchor.product ?? [])
    // Gamma may be a factor further inside.
    if (at === undefined || !products.some((product) => operandIn(product, anchor.gamma) !== undefined)) continue
    exchange(edit, entry, at, parameter(entry, 'bias', typeOf(anchor.beta, entry.node.input[at]!) ?? type))
    for (const product of products) {
      const scale = operandIn(product, anchor.gamma)
      if (scale === undefined) continue
      const own = typeOf(anchor.gamma, product.node.input[scale]!) ?? type
      exchange(edit, product, scale, parameter(product, 'weight', own))
      places++
    }
  }
  if (places === 0) places = makeAnew(edit, anchor, name, source, type)
  if (places === 0) throw noPlace(name, 'a LayerNormalization, or the formula of one')
}

/** The formula in another order, such as (x - mean) · (gamma / deviation), is made anew, in float32. */
function makeAnew(
  edit: ModelEdit,
  { x, epsilon, output }: NormAnchor,
  name: string,
  source: ParameterSource,
  type: number,
): number {
  const [from] = x
  if (!from) return 0
  const entries = makers(edit, output, 'Add')
  for (const entry of entries) {
    const make = new NodeMaker(edit, entry.ahead, name)
    const values = make.cast(from.name, from.type ?? type, DataType.float)
    const centred = make.add('Sub', [values, make.reduceMean(values, -1, true)])
    const variance = make.reduceMean(make.add('Mul', [centred, centred]), -1, true)
    const deviation = make.add('Sqrt', [make.add('Add', [variance, make.scalar(epsilon)])])
    const normal = make.add('Div', [centred, deviation])
    const scaled = make.add('Mul', [normal, source.vector(make, `${name}.weight`)])
    const shifted = make.add('Add', [scaled, source.vector(make, `${name}.bias`)])
    if (type === DataType.float) edit.change(entry, { opType: 'Identity', input: [shifted] })
    else edit.change(entry, castNode(shifted, type))
  }
  return entries.length
}

function castNode(input: string, to: number): Partial<OnnxNode> {
  const attribute = { name: 'to', i: to, type: AttributeType.int, floats: [], ints: [], strings: [] }
  return { opType: 'Cast', input: [input], attribute: [attribute] }
}

/** The operator takes one gamma for all rows: it gets ones and zeros, and the rows' own come behind it. */
function scaleBehind(
  edit: ModelEdit,
  entry: Entry,
  at: number,
  name: string,
  { gamma, beta, width, type }: { gamma: string; beta: string; width: number; type: number },
): void {
  const before = new NodeMaker(edit, entry.ahead, name)
  exchange(edit, entry, at, before.filled(1, width, type))
  exchange(edit, entry, at + 1, before.filled(0, width, type))
  const [result = '', ...others] = entry.node.output
  const normal = edit.fresh(`${name}/normal`)
  edit.change(entry, { output: [normal, ...others] })
  const behind = new NodeMaker(edit, entry.behind, name)
  behind.add('Add', [behind.add('Mul', [normal, gamma]), beta], {}, result)
}
