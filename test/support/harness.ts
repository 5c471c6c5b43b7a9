/**
 * What every case of an op test goes through: the plain f32 and the f64 reference, central differences, the native
 * engine on every usable instruction set with 1, 2 and 3 threads (same bits) in memory full of NaN with guards behind
 * every buffer, and a recording for `oa_replay`.
 */
import test from 'ava'
import type { ExecutionContext } from 'ava'
import type { Node, Value } from '../../lib/ir/graph.js'
import { compare, forwardFactor, gradientFactor } from './budget.js'
import { buildGradients, builtFrom, CaseBuilder } from './cases.js'
import type { BuiltCase, Gradients, OpCase } from './cases.js'
import { runNative, usableIsas } from './device.js'
import { checkSlopes } from './differences.js'
import { recordCase, recordNarrowCase } from './record.js'
import { evaluate, exact, single } from './reference.js'
import type { Round, Scalars, Tensor } from './reference/types.js'

/** 3 is odd and more than most machines' share of a small batch. */
const threadCounts = [1, 2, 3]

/** Registers the cases of one op; every case is a test of its own. */
export function testOp(op: string, cases: readonly OpCase[]): void {
  for (const item of cases) test(`${op}: ${item.name}`, async (t) => runCase(t, op, item))
}

async function runCase(t: ExecutionContext, op: string, item: OpCase): Promise<void> {
  const g = new CaseBuilder(item.lengths, `${op}/${item.name}`)
  let node = item.build(g)
  t.is(node.op, op, 'the case tests another op')
  const gradients = item.gradients ? buildGradients(g, item.gradients) : undefined
  if (gradients) node = g.nodes.find((other) => other.name === node.name)!
  const built = builtFrom(g, node)
  const scalars: Scalars = { learningRate: 0, step: 0, seed: 0n, ...item.scalars }

  const want = runReference(built, scalars, exact)
  if (gradients) t.is(checkSlopes(node, gradients, want, scalars), '')
  const plain = runReference(built, scalars, single)
  const outputs = [...new Set([...Object.values(node.outputs), ...Object.values(gradients?.values ?? {})])]

  for (const isa of usableIsas()) {
    const results = await runNative(built, outputs, { isa, threads: 1, scalars, spare: item.spare ?? 0 })
    judge(t, { item, isa, gradients, outputs, results, plain, want })
    for (const threads of threadCounts.slice(1)) {
      const again = await runNative(built, outputs, { isa, threads, scalars, spare: 5 })
      t.deepEqual(again.map(bits), results.map(bits), `${isa}: ${threads} threads give other bits than one`)
    }
  }
  const expected = { scalars, want, plain, factor: gradientFactor, absoluteFloor: item.absoluteFloor ?? 0 }
  recordCase(`${op}: ${item.name}`, built, outputs, expected)
  recordNarrowCase(`${op}: ${item.name}`, built, outputs, expected)
}

/** Values of every operand and result. */
export function runReference(built: BuiltCase, scalars: Scalars, round: Round): Map<Value, Tensor> {
  const values = new Map<Value, Tensor>()
  const sizes: Record<string, number> = { T: built.ids.length, B: built.cu.length - 1, 'B+1': built.cu.length }
  const hold = (value: Value, data: Float32Array | Int32Array) =>
    values.set(value, {
      shape: value.shape.map((dim) => (typeof dim === 'number' ? dim : sizes[dim]!)),
      data: data instanceof Int32Array ? data : Float64Array.from(data),
    })
  for (const [value, data] of built.contents) hold(value, data)
  for (const value of batchInputs(built.nodes)) {
    const data = { ids: built.ids, types: built.types, cu: built.cu }[value.name]
    if (data) hold(value, data)
  }
  evaluate(built.nodes, values, scalars, round)
  return values
}

function batchInputs(nodes: readonly Node[]): Set<Value> {
  return new Set(nodes.flatMap((node) => Object.values(node.inputs).filter((value) => value.storage === 'input')))
}

interface Judged {
  readonly item: OpCase
  readonly isa: string
  readonly gradients: Gradients | undefined
  readonly outputs: readonly Value[]
  readonly results: readonly Float32Array[]
  readonly plain: ReadonlyMap<Value, Tensor>
  readonly want: ReadonlyMap<Value, Tensor>
}

function judge(t: ExecutionContext, { item, isa, gradients, outputs, results, plain, want }: Judged): void {
  const ofGradients = new Set(Object.values(gradients?.values ?? {}))
  outputs.forEach((value, i) => {
    const expected = want.get(value)!.data
    if (item.exact) {
      t.deepEqual([...results[i]!], [...expected], `${isa}: ${value.name} is not exact`)
      return
    }
    const factor = ofGradients.has(value) ? gradientFactor : forwardFactor
    const budget = { factor, absoluteFloor: item.absoluteFloor ?? 0 }
    const { ok, message } = compare(results[i]!, plain.get(value)!.data, expected, budget)
    t.true(ok, `${isa}: ${value.name} ${message}`)
  })
}

function bits(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length)
}
