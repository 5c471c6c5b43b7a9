import { OnnxImportError } from '../errors.js'
import { batch, sequence } from './dim.js'
import { isInteger, shapeOf } from './known.js'
import type { Network, Quantity } from './network.js'

/** The inputs of an encoder: token ids, and where the file has them, the padding mask and the token types. */
export interface Roles {
  readonly ids: Quantity
  readonly mask?: Quantity
  readonly types?: Quantity
  /** Sizes [batch, sequence] of a file that was exported for one shape only. */
  readonly fixedShape?: readonly [number, number]
}

const known = {
  ids: ['input_ids', 'input_word_ids'],
  mask: ['attention_mask', 'input_mask'],
  types: ['token_type_ids', 'segment_ids', 'input_type_ids'],
}

/**
 * Finds which input is which: by the usual names, and where a file has others, by use: ids and types are looked up in
 * tables (the larger table is the vocabulary), the mask is not.
 * @throws OnnxImportError ERR_ONNX_UNSUPPORTED where there are no token ids
 */
export function findRoles(network: Network): Roles {
  const candidates = network.inputs.filter((input) => input.shape === undefined || input.shape.length === 2)
  const named = (names: readonly string[]) => candidates.find((input) => names.includes(input.name))
  const tables = new Map(candidates.map((input) => [input, tableRows(input)]))
  let ids = named(known.ids)
  let types = named(known.types)
  let mask = named(known.mask)
  const free = candidates.filter(
    (input) => ![ids, types, mask].includes(input) && (input.type === undefined || isInteger(input.type)),
  )
  const lookedUp = free.filter((input) => tables.get(input)! > 0).sort((a, b) => tables.get(b)! - tables.get(a)!)
  ids ??= lookedUp.shift()
  types ??= lookedUp.shift()
  const others = free.filter((input) => input.consumers.length > 0 && tables.get(input) === 0)
  if (others.length === 1) mask ??= others[0]
  if (!ids) {
    const list = network.inputs.map((input) => `"${input.name}"`).join(', ')
    const message = `The model has no input of token ids: its inputs are ${list || 'none'}. Expected a BERT-like text encoder.`
    throw new OnnxImportError('ERR_ONNX_UNSUPPORTED', message, {
      node: network.inputs[0]?.name,
      expected: 'an input input_ids [batch, sequence]',
    })
  }
  const sizes = shapeOf(ids)
  const [b, s] = sizes ?? []
  const fixed = typeof b === 'number' && typeof s === 'number' ? ([b, s] as const) : undefined
  for (const input of [ids, mask, types])
    if (input) input.shape = [typeof b === 'number' ? b : batch, typeof s === 'number' ? s : sequence]
  ids.field = { kind: 'input', batch: -2, sequence: -1 }
  if (mask) mask.field = { kind: 'choice', source: 'mask', kept: 1, dropped: 0, batch: -2, sequence: -1 }
  return { ids, ...(mask ? { mask } : {}), ...(types ? { types } : {}), ...(fixed ? { fixedShape: fixed } : {}) }
}

/** Rows of the largest table that the input selects from, directly or through casts; 0 where it selects from none. */
function tableRows(input: Quantity): number {
  let rows = 0
  const seen = new Set<Quantity>([input])
  for (const value of seen) {
    for (const operator of value.consumers) {
      const [data, index] = operator.inputs
      if (operator.type === 'Gather' && index === value && data?.constant)
        rows = Math.max(rows, Number(data.constant.dims[0] ?? 0))
      const passes = operator.type === 'Cast' || operator.type === 'Identity'
      if (passes && operator.outputs[0]) seen.add(operator.outputs[0])
    }
  }
  return rows
}
