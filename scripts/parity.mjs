// What oa_replay reported of each case, by op.

/**
 * The case of every op that came nearest to its budget, or went furthest beyond it.
 * @param text lines of `oa_replay --report`: case, device, error, budget, problem; separated by tabs
 */
export function summariseOps(text) {
  const ops = new Map()
  for (const line of text.split('\n').filter(Boolean)) {
    const [name, , error, budget, problem] = line.split('\t')
    const op = name.split(':')[0]
    const known = ops.get(op) ?? { op, cases: 0, failed: 0, error: 0, budget: 0, share: -1, case: '' }
    const share = Number(budget) > 0 ? Number(error) / Number(budget) : Number(error) > 0 ? Infinity : 0
    const worst =
      share > known.share ? { error: Number(error), budget: Number(budget), share: round(share), case: name } : {}
    ops.set(op, { ...known, ...worst, cases: known.cases + 1, failed: known.failed + (problem ? 1 : 0) })
  }
  return [...ops.values()].sort((a, b) => (a.op < b.op ? -1 : 1))
}

function round(value) {
  return Number(value.toPrecision(3))
}
