import { DataType, type OnnxNode } from '../../../lib/onnx/schema.js'
import type { Draft, Mutation } from './draft.js'

type Kind = 'none' | 'tanh'

interface Found {
  readonly x: string
  readonly kind: Kind
  /** Whose result is replaced. */
  readonly last: OnnxNode
}

/** GELU in both its forms: spelt out in several ways, or one operator. */
export const gelu: Mutation = {
  name: 'gelu',
  apply(draft) {
    const facts = draft.facts()
    const found = [...operators(draft), ...formulas(draft)].filter(({ x }) => facts(x).type === DataType.float)
    const chosen = draft.some(found)
    for (const { x, kind, last } of chosen) {
      const spelling = draft.pick([...spellings, ...(draft.opset >= 20 ? [operator] : [])])
      const y = spelling(draft, x, kind)
      // Behind the last product, which then needs its own name no more.
      draft.add('Identity', [y], {}, draft.takeOver(last))
    }
    return chosen.length
  },
}

function operators(draft: Draft): Found[] {
  return draft.nodes('Gelu').map((last) => {
    const attribute = last.attribute.find(({ name }) => name === 'approximate')?.s
    return {
      x: last.input[0]!,
      kind: attribute && Buffer.from(attribute).toString() === 'tanh' ? 'tanh' : 'none',
      last,
    }
  })
}

/** From Erf or Tanh on: plus 1, then products until both x and 1/2 are in. */
function formulas(draft: Draft): Found[] {
  return draft.nodes('Erf', 'Tanh').flatMap((curve) => {
    let last = draft.onlyReader(curve.output[0])
    if (last?.opType !== 'Add' || !last.input.some((name) => draft.scalar(name) === 1)) return []
    let half = false
    let x: string | undefined
    while (!half || !x) {
      const product = draft.onlyReader(last!.output[0])
      if (product?.opType !== 'Mul') return []
      for (const factor of product.input.filter((name) => name !== last!.output[0])) {
        const inner = draft.maker(factor)
        const scaled = inner?.opType === 'Mul' && inner.input.find((name) => draft.scalar(name) === 0.5)
        if (draft.scalar(factor) === 0.5) half = true
        else if (scaled) {
          half = true
          x = inner.input.find((name) => name !== scaled)
        } else x = factor
      }
      last = product
    }
    return [{ x, kind: curve.opType === 'Erf' ? ('none' as const) : ('tanh' as const), last: last! }]
  })
}

function operator(draft: Draft, x: string, kind: Kind): string {
  return draft.add('Gelu', [x], kind === 'tanh' || draft.chance() ? { approximate: kind } : {})
}

const spellings: ((draft: Draft, x: string, kind: Kind) => string)[] = [
  // 0.5 · (x · (1 + f))
  (draft, x, kind) => times(draft, number(draft, 0.5), times(draft, x, plusOne(draft, x, kind))),
  // x · (0.5 · (1 + f))
  (draft, x, kind) => times(draft, x, times(draft, number(draft, 0.5), plusOne(draft, x, kind))),
  // (0.5 · x) · (1 + f)
  (draft, x, kind) => times(draft, times(draft, x, number(draft, 0.5)), plusOne(draft, x, kind)),
  // (x / 2) · (1 + f)
  (draft, x, kind) => times(draft, draft.add('Div', [x, number(draft, 2)]), plusOne(draft, x, kind)),
  // x · (0.5 + 0.5 · f)
  (draft, x, kind) => {
    const halved = times(draft, number(draft, 0.5), curve(draft, x, kind))
    return times(draft, x, draft.add('Add', [number(draft, 0.5), halved]))
  },
  // 0.5 · x + 0.5 · x · f
  (draft, x, kind) => {
    const halved = times(draft, x, number(draft, 0.5))
    return draft.add('Add', [halved, times(draft, halved, curve(draft, x, kind))])
  },
]

function number(draft: Draft, value: number): string {
  return draft.floats(draft.pick([[], [1], [1, 1, 1]]), [value])
}

function times(draft: Draft, a: string, b: string): string {
  return draft.add('Mul', draft.chance() ? [a, b] : [b, a])
}

function plusOne(draft: Draft, x: string, kind: Kind): string {
  const f = curve(draft, x, kind)
  return draft.add('Add', draft.chance() ? [f, number(draft, 1)] : [number(draft, 1), f])
}

function curve(draft: Draft, x: string, kind: Kind): string {
  if (kind === 'none') {
    const inner = draft.chance()
      ? draft.add('Div', [x, number(draft, Math.SQRT2)])
      : draft.chance()
        ? times(draft, x, number(draft, Math.SQRT1_2))
        : draft.add('Div', [x, draft.add('Sqrt', [number(draft, 2)])])
    return draft.add('Erf', [inner])
  }
  const c = Math.sqrt(2 / Math.PI)
  const cube = draft.chance()
    ? draft.add('Pow', [x, number(draft, 3)])
    : times(draft, x, draft.chance() ? times(draft, x, x) : draft.add('Pow', [x, number(draft, 2)]))
  const inner = draft.chance()
    ? times(draft, number(draft, c), draft.add('Add', [x, times(draft, number(draft, 0.044715), cube)]))
    : draft.add('Add', [times(draft, x, number(draft, c)), times(draft, cube, number(draft, 0.044715 * c))])
  return draft.add('Tanh', [inner])
}
