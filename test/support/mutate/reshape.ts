import type { MaybeDim } from '../../../lib/onnx/dim.js'
import type { Draft, Mutation } from './draft.js'
import { axes } from './views.js'

/** The sizes of Reshapes written otherwise: as constants with 0 and -1, or computed from other shapes. */
export const reshape: Mutation = {
  name: 'reshape',
  apply(draft) {
    const facts = draft.facts()
    const places = draft.nodes('Reshape').filter((node) => {
      const shape = facts(node.output[0]!).shape
      return shape?.every((dim) => typeof dim === 'number' || isNamed(dim, 'B') || isNamed(dim, 'S'))
    })
    const chosen = draft.some(places)
    for (const node of chosen) {
      const source = facts(node.input[0]!).shape
      const target = facts(node.output[0]!).shape!
      const constant = draft.chance() ? constantSizes(draft, source, target) : undefined
      node.input[1] = constant ?? computedSizes(draft, target)
      if (constant) node.attribute = node.attribute.filter(({ name }) => name !== 'allowzero')
    }
    return chosen.length
  },
}

function isNamed(dim: MaybeDim, name: string): boolean {
  return typeof dim === 'object' && dim.factor === 1 && dim.names.length === 1 && dim.names[0] === name
}

/** 0 keeps the size of the axis at the same place, one -1 takes what is left. */
function constantSizes(
  draft: Draft,
  source: readonly MaybeDim[] | undefined,
  target: readonly MaybeDim[],
): string | undefined {
  const kept = target.map((dim, i) => ['B', 'S'].some((name) => isNamed(dim, name) && isNamed(source?.[i], name)))
  const open = target.flatMap((dim, i) => (typeof dim === 'number' || kept[i] ? [] : [i]))
  if (open.length > 1) return undefined
  const free = open[0] ?? (draft.chance() ? Math.floor(draft.random() * target.length) : -1)
  return draft.integers(...target.map((dim, i) => (i === free ? -1 : typeof dim === 'number' && !kept[i] ? dim : 0)))
}

function computedSizes(draft: Draft, target: readonly MaybeDim[]): string {
  const ids = draft.graph.input.find(({ name }) => /input_ids/.test(name!))!.name!
  const free = draft.chance(0.3) ? Math.floor(draft.random() * target.length) : -1
  const sizes = target.map((dim, i) => {
    if (i === free) return draft.integers(-1)
    if (typeof dim === 'number') return draft.integers(dim)
    return sizeOf(draft, ids, isNamed(dim, 'B') ? 0 : 1)
  })
  return draft.add('Concat', sizes, { axis: 0 })
}

/** The size of one axis as a list of one. */
function sizeOf(draft: Draft, ids: string, axis: number): string {
  const shape = draft.add('Shape', [ids])
  switch (draft.pick(['gather', 'list', 'slice', 'float'])) {
    case 'gather':
      return axes(draft, 'Unsqueeze', draft.add('Gather', [shape, draft.index(axis)], { axis: 0 }), 0)
    case 'list':
      return draft.add('Gather', [shape, draft.integers(axis)])
    case 'slice':
      return draft.add('Slice', [shape, draft.integers(axis), draft.integers(axis + 1), draft.integers(0)])
    default: {
      const size = draft.add('Gather', [shape, draft.integers(axis - 2)])
      return draft.add('Cast', [draft.add('Cast', [size], { to: 6 })], { to: 7 })
    }
  }
}
