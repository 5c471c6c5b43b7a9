import { fieldOf, scalarOf, shapeOf } from '../known.js'
import { type Operator, type Quantity, intAttribute } from '../network.js'
import { mapField } from '../field.js'
import { type Grid, type Heads, isView, matchHeads, matchMergedHeads } from './heads.js'
import { type Atom, type Layout, labels, moveLayout } from './layout.js'
import type { Linear } from './linear.js'
import { type Bias, checkBias, foreignBias } from './mask.js'
import { Mismatch, maker, operandOrders, scaled } from './pattern.js'

/** softmax(scale · Q·Kᵀ + padding mask)·V by heads, Vaswani et al. 2017 §3.2, with its three projections. */
export interface Attention {
  /** What all three projections read. */
  readonly x: Quantity
  readonly query: Linear
  readonly key: Linear
  readonly value: Linear
  readonly heads: number
  readonly scale: number
  /** Whether the padding mask is in it. */
  readonly masked: boolean
  /** The two products of activations, Q·Kᵀ and P·V. */
  readonly products: readonly Operator[]
}

/** @param merged the heads side by side again, [B, S, C] or [B·S, C]. @throws Mismatch */
export function matchAttention(merged: Quantity, grid: Grid): Attention {
  const { product, views } = matchMergedHeads(merged, 1)
  const value = matchHeads(product.inputs[1]!, grid, 2)
  if (value.factor !== 1) throw new Mismatch(product.inputs[1], 'values without a scale', 2)
  const { softmax, after } = matchSoftmax(product.inputs[0]!)
  const scores = matchScores(softmax.inputs[0]!, grid)
  const { layout: scoreLayout, masked, scale } = replayScores(scores)
  checkSoftmaxAxis(softmax, scoreLayout)
  const heads = headCount(scores.query)
  const probabilities = after.reduce((layout, view) => moveOrFail(layout, view, 7), scoreLayout)
  const mixed = mixValues(probabilities, value.layout, product)
  checkMerged(
    views.reduce((layout, view) => moveOrFail(layout, view, 8), mixed),
    merged,
    heads,
  )
  if (headCount(value) !== heads) throw new Mismatch(merged, `values cut into ${heads} heads like queries and keys`, 8)
  const [query, key] = [scores.query.linear, scores.key.linear]
  if (query.x !== key.x || query.x !== value.linear.x)
    throw new Mismatch(merged, 'query, key and value made from the same input (self-attention)', 9)
  return { x: query.x, query, key, value: value.linear, heads, scale, masked, products: [scores.product, product] }
}

function moveOrFail(layout: Layout, view: Operator, progress: number): Layout {
  const moved = moveLayout(layout, view)
  if (!moved)
    throw new Mismatch(view.outputs[0], 'a reshape whose sizes follow from batch, sequence and constants', progress)
  return moved
}

/** Softmax over the last axis, and the views between it and the product with the values. */
function matchSoftmax(probabilities: Quantity): { softmax: Operator; after: Operator[] } {
  const after: Operator[] = []
  let current = probabilities
  for (let step = 0; step < 16; step++) {
    const softmax = maker(current, 'Softmax')
    if (softmax) return { softmax, after }
    const unguarded = withoutNanGuard(current)
    const producer = current.producer
    if (unguarded) current = unguarded
    else if (producer && isView(producer) && producer.inputs[0]) {
      after.unshift(producer)
      current = producer.inputs[0]
    } else break
  }
  throw new Mismatch(current, 'a Softmax of scores', 3)
}

/** p where the value is `IsNaN(p) ? 0 : p`: only a row without any token is NaN, and such rows are never run. */
function withoutNanGuard(value: Quantity): Quantity | undefined {
  const [condition, zero, p] = maker(value, 'Where')?.inputs ?? []
  return p && scalarOf(zero) === 0 && maker(condition, 'IsNaN')?.inputs[0] === p ? p : undefined
}

type Step =
  | { readonly kind: 'view'; readonly operator: Operator }
  | { readonly kind: 'scale'; readonly factor: number }
  | { readonly kind: 'bias'; readonly bias: Bias }

interface Scores {
  readonly query: Heads
  readonly key: Heads
  readonly product: Operator
  /** From the product to the softmax. */
  readonly steps: readonly Step[]
}

/** Follows the scores back to the product of queries and keys. */
function matchScores(input: Quantity, grid: Grid): Scores {
  const steps: Step[] = []
  let current = input
  for (let step = 0; step < 16; step++) {
    const product = maker(current, 'MatMul')
    if (product) {
      const query = matchHeads(product.inputs[0]!, grid, 4)
      const key = matchHeads(product.inputs[1]!, grid, 5)
      return { query, key, product, steps }
    }
    const next = stepBack(current)
    steps.unshift(next.step)
    current = next.x
  }
  throw new Mismatch(current, 'the product of queries and keys', 4)
}

function stepBack(current: Quantity): { step: Step; x: Quantity } {
  const scaling = scaled(current)
  if (scaling) return { step: { kind: 'scale', factor: scaling.factor }, x: scaling.x }
  const producer = current.producer
  if (producer && isView(producer) && producer.inputs[0])
    return { step: { kind: 'view', operator: producer }, x: producer.inputs[0] }
  const sum = maker(current, 'Add')
  for (const [x, source] of operandOrders(sum)) {
    const field = fieldOf(source)
    if (field) return { step: { kind: 'bias', bias: { source, field } }, x }
  }
  if (sum) throw foreignBias(leastLikeScores(sum), 6)
  const replaced = matchReplacement(current)
  if (replaced) return replaced
  throw new Mismatch(current, 'the product of queries and keys, scaled, with a padding mask', 4)
}

/** Of two unknown addends, the one that is not (a scaled) product of activations. */
function leastLikeScores(sum: Operator): Quantity {
  const [a, b] = sum.inputs as [Quantity, Quantity]
  let x = a
  for (let inner = scaled(x); inner; inner = scaled(x)) x = inner.x
  return maker(x, 'MatMul') ? b : a
}

/** `Where(mask, scores, lowest)`, or the other way round: the lowest value stands in the place of a masked score. */
function matchReplacement(current: Quantity): { step: Step; x: Quantity } | undefined {
  const [condition, yes, no] = maker(current, 'Where')?.inputs ?? []
  if (!condition || !yes || !no) return undefined
  const [low, x] = scalarOf(yes) !== undefined ? [scalarOf(yes)!, no] : [scalarOf(no), yes]
  const field = fieldOf(condition)
  if (low === undefined || field === undefined) throw foreignBias(condition, 6)
  const lowWhere = scalarOf(yes) !== undefined ? (c: number) => c !== 0 : (c: number) => c === 0
  const bias = mapField(field, (c) => (lowWhere(c) ? low : 0))
  if (!bias) throw foreignBias(condition, 6)
  return { step: { kind: 'bias', bias: { source: condition, field: bias } }, x }
}

/** Runs the steps forward with labels in place of numbers: where the mask lies, and the scale that remains. */
function replayScores({ query, key, product, steps }: Scores): { layout: Layout; masked: boolean; scale: number } {
  let layout = multiplyHeads(query.layout, key.layout, product)
  let scale = query.factor * key.factor
  let masked = false
  steps.forEach((step, i) => {
    switch (step.kind) {
      case 'view':
        layout = moveOrFail(layout, step.operator, 6)
        break
      case 'scale':
        scale *= step.factor
        break
      case 'bias': {
        const later = steps.slice(i + 1).reduce((factor, next) => factor * (next.kind === 'scale' ? next.factor : 1), 1)
        const field = mapField(step.bias.field, (x) => x * later)
        if (!field) throw foreignBias(step.bias.source, 6)
        masked = checkBias({ ...step.bias, field }, layout, 6) || masked
        break
      }
      default:
        step satisfies never
    }
  })
  if (!Number.isFinite(scale) || scale <= 0) throw new Mismatch(product.outputs[0], 'a positive scale of the scores', 6)
  return { layout, masked, scale }
}

function rename(axis: readonly Atom[] | undefined, label: string): Atom[] {
  return (axis ?? []).map((atom) => ({ ...atom, label }))
}

/** Q[.., sequence, width] · K[.., width, sequence] -> [.., query, key]. */
function multiplyHeads(query: Layout, key: Layout, product: Operator): Layout {
  const [q, k] = [labels(query), labels(key)]
  const lead = query.slice(0, -2)
  const fits =
    labels(lead) === labels(key.slice(0, -2)) &&
    isSequence(query.at(-2)) &&
    isSequence(key.at(-1)) &&
    labels([query.at(-1)]) === labels([key.at(-2)]) &&
    isWidth(query.at(-1))
  if (!fits)
    throw new Mismatch(
      product.outputs[0],
      `queries [batch, heads, sequence, width] times keys [.., width, sequence], not (${q}) times (${k})`,
      5,
    )
  return [...lead, rename(query.at(-2), 'query'), rename(key.at(-1), 'key')]
}

/** P[.., query, key] · V[.., sequence, width] -> [.., query, width]. */
function mixValues(probabilities: Layout, value: Layout, product: Operator): Layout {
  const fits =
    labels(probabilities.slice(0, -2)) === labels(value.slice(0, -2)) &&
    labels([probabilities.at(-2)]).replace('query', '') === '' &&
    labels([probabilities.at(-1)]).replace('key', '') === '' &&
    isSequence(value.at(-2)) &&
    isWidth(value.at(-1))
  if (!fits)
    throw new Mismatch(
      product.outputs[0],
      'probabilities [batch, heads, query, key] times values [.., sequence, width]',
      7,
    )
  return [...probabilities.slice(0, -1), value.at(-1)!]
}

function isSequence(axis: readonly Atom[] | undefined): boolean {
  return labels([axis]) === 'sequence' || axis?.length === 0
}

function isWidth(axis: readonly Atom[] | undefined): boolean {
  return ['hidden.inner', 'hidden'].includes(labels([axis]))
}

function headCount(heads: Heads): number {
  const outer = heads.layout.flat().find((atom) => atom.label === 'hidden.outer')
  return typeof outer?.size === 'number' ? outer.size : 1
}

function checkSoftmaxAxis(softmax: Operator, layout: Layout): void {
  const rank = shapeOf(softmax.inputs[0])?.length ?? layout.length
  const axis = intAttribute(softmax, 'axis', -1)
  const last = labels([layout.at(-1)])
  if ((axis !== -1 && axis !== rank - 1) || (last !== 'key' && last !== ''))
    throw new Mismatch(softmax.outputs[0], 'a softmax over the keys (the last axis)', 6)
}

/** The heads must stand side by side again, each token's in one row. */
function checkMerged(layout: Layout, merged: Quantity, heads: number): void {
  const order = labels(layout.flat().map((atom) => [atom]))
  const wanted = ['batch', 'query', ...(heads > 1 ? ['hidden.outer', 'hidden.inner'] : ['hidden'])]
  const given = new Set(layout.flat().map((atom) => atom.label))
  const row = labels([layout.at(-1)])
  if (order !== wanted.filter((label) => given.has(label)).join(' ') || row !== wanted.slice(2).join('*'))
    throw new Mismatch(merged, 'heads merged back to [batch, sequence, hidden]', 8)
}
