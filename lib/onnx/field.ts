/**
 * Fields: tensors whose every element is known as a function of where it stands. Masks, positions and constant rows are
 * fields, and stay fields through casts, arithmetic and broadcasts; so what a graph does with its mask is computed, not
 * recognised by its look.
 *
 * Axes are counted from the end (-1 is the last), so broadcasting leaves them alone.
 */

/** Two values, chosen by one element of a graph input: the attention mask (1 or 0), or "this id is not the pad". */
export interface ChoiceField {
  readonly kind: 'choice'
  readonly source: 'mask' | 'ids'
  /** For `ids`: the id that counts as padding. */
  readonly pad?: number
  /** Value where the mask is 1, or the id is not the pad. */
  readonly kept: number
  /** Value where the mask is 0, or the id is the pad. */
  readonly dropped: number
  readonly batch: number
  readonly sequence: number
}

export interface UniformField {
  readonly kind: 'uniform'
  readonly value: number
}

/** start + step · index along one axis. */
export interface IotaField {
  readonly kind: 'iota'
  readonly start: number
  readonly step: number
  readonly axis: number
}

/**
 * Positions that count tokens other than the pad: `start + step · (number of such tokens up to here)` where the id is
 * not the pad, and `padded` (or the same count, undefined) where it is.
 */
export interface CountField {
  readonly kind: 'count'
  readonly pad: number
  readonly start: number
  readonly step: number
  readonly padded?: number
  readonly batch: number
  readonly sequence: number
}

/** The token ids themselves, or the mask before it is compared. */
export interface InputField {
  readonly kind: 'input'
  readonly batch: number
  readonly sequence: number
}

/** How many ones the mask has in each sequence. */
export interface LengthField {
  readonly kind: 'length'
  readonly batch: number
}

export type Field = ChoiceField | UniformField | IotaField | CountField | InputField | LengthField

export function uniform(value: number): UniformField {
  return { kind: 'uniform', value }
}

export function mapField(field: Field, f: (x: number) => number): Field | undefined {
  switch (field.kind) {
    case 'uniform':
      return uniform(f(field.value))
    case 'choice':
      return { ...field, kept: f(field.kept), dropped: f(field.dropped) }
    case 'iota':
    case 'count':
      return affine(field, f)
    case 'input':
    case 'length':
      return undefined
    default:
      return field satisfies never
  }
}

/** Only maps that are affine keep a line a line; tried at three points. */
function affine(field: IotaField | CountField, f: (x: number) => number): Field | undefined {
  const zero = f(0)
  const slope = f(1) - zero
  for (const x of [2, 7, 1000]) if (f(x) !== zero + slope * x) return undefined
  const line = { start: zero + slope * field.start, step: slope * field.step }
  if (field.kind === 'iota') return { ...field, ...line }
  return { ...field, ...line, ...(field.padded === undefined ? {} : { padded: f(field.padded) }) }
}

/** Applies f element by element to two fields; undefined where the result is not a field of these kinds. */
export function zipFields(a: Field, b: Field, type: string, f: (x: number, y: number) => number): Field | undefined {
  if (b.kind === 'uniform') {
    if (a.kind === 'input') return compareIds(a, b.value, type)
    return mapField(a, (x) => f(x, b.value))
  }
  if (a.kind === 'uniform') {
    if (b.kind === 'input') return compareIds(b, a.value, type)
    return mapField(b, (x) => f(a.value, x))
  }
  if (a.kind === 'choice' && b.kind === 'choice') {
    if (a.source !== b.source || a.pad !== b.pad || a.batch !== b.batch || a.sequence !== b.sequence) return undefined
    return { ...a, kept: f(a.kept, b.kept), dropped: f(a.dropped, b.dropped) }
  }
  if (type === 'Mul' && a.kind === 'count' && b.kind === 'choice') return maskCount(a, b)
  if (type === 'Mul' && a.kind === 'choice' && b.kind === 'count') return maskCount(b, a)
  return undefined
}

/** `ids == pad` chooses by the pad. */
function compareIds(ids: InputField, pad: number, type: string): Field | undefined {
  if (type !== 'Equal') return undefined
  return { kind: 'choice', source: 'ids', pad, kept: 0, dropped: 1, batch: ids.batch, sequence: ids.sequence }
}

/** count · (1 where not pad, 0 where pad). */
function maskCount(count: CountField, choice: ChoiceField): Field | undefined {
  const fits =
    choice.source === 'ids' &&
    choice.pad === count.pad &&
    choice.batch === count.batch &&
    choice.sequence === count.sequence
  if (!fits || choice.kept !== 1 || choice.dropped !== 0) return undefined
  return { ...count, padded: 0 }
}

/** Running sum along the sequence of "is not the pad". */
export function cumulate(field: Field, axis: number): Field | undefined {
  if (field.kind !== 'choice' || field.source !== 'ids' || field.kept !== 1 || field.dropped !== 0) return undefined
  if (axis !== field.sequence || field.pad === undefined) return undefined
  return { kind: 'count', pad: field.pad, start: 0, step: 1, batch: field.batch, sequence: field.sequence }
}

/** Sum over the sequence of a mask [B,S], to [B]. */
export function countMask(field: Field): Field | undefined {
  if (field.kind !== 'choice' || field.source !== 'mask' || field.kept !== 1 || field.dropped !== 0) return undefined
  return field.batch === -2 && field.sequence === -1 ? { kind: 'length', batch: -1 } : undefined
}

/**
 * The bias [B,1,1,S] that an attention operator makes of a mask [B,S], or of lengths [B]: those say the same wherever
 * padding comes last, and other padding is never run.
 */
export function maskBias(field: Field, dropped: number): Field | undefined {
  const isMask = field.kind === 'choice' && field.source === 'mask' && field.kept === 1 && field.dropped === 0
  const fits = field.kind === 'length' ? field.batch === -1 : isMask && field.batch === -2 && field.sequence === -1
  return fits ? { kind: 'choice', source: 'mask', kept: 0, dropped, batch: -4, sequence: -1 } : undefined
}

/** The field after its axes moved: `to(axis)` gives an axis' new place, or undefined where it is gone. */
export function moveAxes(field: Field, to: (axis: number) => number | undefined): Field | undefined {
  if (field.kind === 'uniform') return field
  if (field.kind === 'iota') {
    const axis = to(field.axis)
    return axis === undefined ? undefined : { ...field, axis }
  }
  const batch = to(field.batch)
  if (field.kind === 'length') return batch === undefined ? undefined : { ...field, batch }
  const sequence = to(field.sequence)
  return batch === undefined || sequence === undefined ? undefined : { ...field, batch, sequence }
}

/** The axes along which a field varies. */
export function fieldAxes(field: Field): readonly number[] {
  if (field.kind === 'uniform') return []
  if (field.kind === 'length') return [field.batch]
  return field.kind === 'iota' ? [field.axis] : [field.batch, field.sequence]
}
