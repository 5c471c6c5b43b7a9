import type { Field } from '../field.js'
import { fieldOf, shapeOf } from '../known.js'
import type { Operator, Quantity } from '../network.js'
import { type Layout, labels } from './layout.js'
import { Mismatch } from './pattern.js'

/** A score lowered by at least this much is gone after softmax. */
const gone = -1000

/** What is added to the scores: by how much where the mask is 1 and where it is 0. */
export interface Bias {
  readonly source: Quantity
  readonly field: Field
}

/**
 * Checks that what lowers the scores is the padding mask and nothing else: a function of attention_mask[batch, key],
 * nothing where the mask is 1 and minus "infinity" where it is 0. Returns whether there is a mask at all; a uniform
 * bias changes no softmax.
 */
export function checkBias({ field, source }: Bias, layout: Layout, progress: number): boolean {
  if (field.kind === 'uniform' && Number.isFinite(field.value)) return false
  if (field.kind !== 'choice' || field.source !== 'mask') throw foreignBias(source, progress)
  if (field.kept === field.dropped) return false
  const drop = field.dropped - field.kept
  if (!Number.isFinite(field.kept) || !(drop <= gone))
    throw new Mismatch(source, `a padding mask: 0 where attention_mask is 1, at most ${gone} where it is 0`, progress)
  const batch = labels([layout.at(field.batch)])
  const key = labels([layout.at(field.sequence)])
  if ((batch !== 'batch' && batch !== '') || (key !== 'key' && key !== ''))
    throw new Mismatch(source, 'a padding mask laid over the keys of each sequence', progress)
  return true
}

/** Says in the user's terms what an added bias is, when it is not the padding mask. */
export function foreignBias(source: Quantity, progress: number): Mismatch {
  const kind = classify(source)
  if (kind === 'causal') {
    const expected = 'a padding mask over the keys; this one depends on the order of positions (a causal decoder)'
    return new Mismatch(source, expected, progress, 'ERR_ONNX_CAUSAL')
  }
  if (kind === 'relative')
    return new Mismatch(
      source,
      'only the padding mask added to the scores; this is a learned (relative) position bias',
      progress,
    )
  return new Mismatch(source, 'only the padding mask, made from attention_mask, added to the scores', progress)
}

const ordering = new Set(['Range', 'Trilu', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'CumSum'])

function classify(source: Quantity): 'causal' | 'relative' | undefined {
  let ordered = isTriangle(source)
  const seen = new Set<Operator>()
  const open = [source]
  while (open.length && seen.size < 10_000) {
    const value = open.pop()!
    const operator = value.producer
    if (!operator || seen.has(operator)) continue
    seen.add(operator)
    if (operator.type === 'Einsum' || operator.type === 'MatMul') return 'relative'
    const table = operator.inputs[0]?.constant
    if (operator.type === 'Gather' && table && table.dims.length === 2 && fieldOf(operator.inputs[0]) === undefined)
      return 'relative'
    if (ordering.has(operator.type)) ordered = true
    for (const input of operator.inputs) {
      if (!input) continue
      if (isTriangle(input)) ordered = true
      open.push(input)
    }
  }
  return ordered ? 'causal' : undefined
}

/** A constant square that is not the same everywhere: a stored causal mask. */
function isTriangle(value: Quantity): boolean {
  const shape = shapeOf(value)
  if (!value.constant || !shape || shape.length < 2) return false
  const [rows, columns] = shape.slice(-2)
  return (
    rows === columns &&
    typeof rows === 'number' &&
    rows > 1 &&
    shape.slice(0, -2).every((dim) => dim === 1) &&
    !fieldOf(value)
  )
}
