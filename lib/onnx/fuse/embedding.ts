import { same } from '../dim.js'
import { fieldOf, shapeOf } from '../known.js'
import { type Quantity, intAttribute } from '../network.js'
import type { Roles } from '../roles.js'
import { Mismatch, addends, maker } from './pattern.js'
import { type Weight, matchMatrix } from './weight.js'

/** word[ids] + position[offset + place] + token_type[types]. */
export interface Embedding {
  readonly word: Weight
  readonly position: Weight
  /** Row of the position table that the first token has. */
  readonly positionOffset: number
  /** The id that is passed over when positions are counted (RoBERTa family). */
  readonly pad?: number
  readonly tokenType?: Weight
  /** Whether token types are read from an input; else every token has type 0. */
  readonly usesTypes: boolean
}

type Part =
  | { readonly kind: 'word' | 'types'; readonly table: Weight }
  | { readonly kind: 'position'; readonly table: Weight; readonly offset: number; readonly pad?: number }
  | { readonly kind: 'row'; readonly table: Weight }

/** @param sum what the embeddings' LayerNorm reads. @throws Mismatch */
export function matchEmbedding(sum: Quantity, roles: Roles): Embedding {
  const parts = addends(sum).map((value) => matchPart(value, roles))
  const one = <K extends Part['kind']>(kind: K): (Part & { kind: K }) | undefined => {
    const found = parts.filter((part): part is Part & { kind: K } => part.kind === kind)
    if (found.length > 1) throw new Mismatch(sum, `one ${kind} embedding, not ${found.length}`, 1)
    return found[0]
  }
  const [word, position, types, row] = [one('word'), one('position'), one('types'), one('row')]
  if (!word) throw new Mismatch(sum, 'a sum with a table looked up by the token ids', 1)
  if (!position) throw new Mismatch(sum, 'a sum with a table of positions 0..S-1', 1)
  if (types && row) throw new Mismatch(sum, 'one token type embedding', 1)
  const tokenType = (types ?? row)?.table
  const width = word.table.shape[1]
  for (const table of [position.table, tokenType])
    if (table && table.shape[1] !== width) throw new Mismatch(sum, `embedding tables all ${width} wide`, 1)
  return {
    word: word.table,
    position: position.table,
    positionOffset: position.offset,
    ...(position.pad === undefined ? {} : { pad: position.pad }),
    ...(tokenType ? { tokenType } : {}),
    usesTypes: types !== undefined,
  }
}

function matchPart(value: Quantity, roles: Roles): Part {
  const gather = maker(value, 'Gather')
  const table = gather && intAttribute(gather, 'axis', 0) === 0 ? matchMatrix(gather.inputs[0]) : undefined
  const index = gather?.inputs[1]
  if (table && !table.transposed && index) {
    if (index === roles.ids) return { kind: 'word', table }
    if (index === roles.types) return { kind: 'types', table }
    const field = fieldOf(index)
    if (field?.kind === 'iota' && field.axis === -1 && field.step === 1 && field.start >= 0)
      return { kind: 'position', table, offset: field.start }
    if (field?.kind === 'uniform' && field.value === 0) return { kind: 'row', table }
    // The first token counts itself: pad + 1. Real tokens come first in a row, so the count is the place.
    if (field?.kind === 'count' && field.step === 1 && field.start >= 0)
      return { kind: 'position', table, offset: field.start + 1, pad: field.pad }
    throw new Mismatch(index, 'token ids, token types, or positions 0..S-1 as the rows to look up', 1)
  }
  const constant = matchConstantRows(value, roles)
  if (constant) return constant
  throw new Mismatch(value, 'a table looked up by token ids, token types or positions', 0)
}

/** Rows that the exporter has already looked up: all positions of a fixed length, or the row of type 0. */
function matchConstantRows(value: Quantity, roles: Roles): Part | undefined {
  const slice = maker(value, 'Slice')
  const source = slice ? slice.inputs[0] : value
  const shape = shapeOf(source)
  if (!source?.constant || !shape || shape.length < 1 || !shape.slice(0, -2).every((dim) => dim === 1)) return undefined
  const [rows, width] = [shape.at(-2) ?? 1, shape.at(-1)]
  if (typeof rows !== 'number' || typeof width !== 'number' || rows * width === 0) return undefined
  const table = { tensor: source.constant, name: source.name, shape: [rows, width], transposed: false }
  if (rows === 1 && !slice) return { kind: 'row', table }
  // Rows must be those of the positions of a sequence, from the first on.
  const [length, across] = shapeOf(value)?.slice(-2) ?? []
  const perPosition = same(length, shapeOf(roles.ids)?.[1]) && across === width
  return perPosition && (!slice || startsAtZero(slice.inputs[1])) ? { kind: 'position', table, offset: 0 } : undefined
}

function startsAtZero(starts: Quantity | undefined): boolean {
  const field = fieldOf(starts)
  return field?.kind === 'uniform' && field.value === 0
}
