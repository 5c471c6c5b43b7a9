/** No two values that are alive together overlap, on random graphs and on real ones. */
import test from 'ava'
import { activation, type Node, type Value } from '../../lib/ir/graph.js'
import { makeNode } from '../../lib/ops/define.js'
import { add } from '../../lib/ops/add.js'
import { dropout } from '../../lib/ops/dropout.js'
import { mul } from '../../lib/ops/mul.js'
import { philox } from '../../lib/adapters/philox.js'
import { alignedBytes, planArena, type Capacity } from '../../lib/plan/arena.js'
import { layOutParameters } from '../../lib/plan/layout.js'
import { lifetimes } from '../../lib/plan/lifetimes.js'
import { planProgram } from '../../lib/plan/plan.js'
import type { Entry } from '../../lib/plan/schedule.js'
import { compileModel } from '../../lib/train/compile.js'
import { resolveTrainerOptions, type TrainerOptions } from '../../lib/train/trainer_options.js'
import { tinyEncoder } from '../support/tiny_encoder.js'

/** A random stream of whole numbers below a limit. */
function stream(seed: number): (below: number) => number {
  let count = 0
  return (below) => Math.floor((philox([count++, 0, 0, 0], [seed, 0])[0] / 2 ** 32) * below)
}

/** Elementwise ops over values of two widths, some of which end as results. */
function randomEntry(seed: number): Entry {
  const random = stream(seed)
  const values: Value[] = [0, 1].flatMap((i) => [activation(`narrow${i}`, ['T', 3]), activation(`wide${i}`, ['T', 8])])
  const nodes: Node[] = values.map((value, i) => ({
    op: 'source',
    name: `source${i}`,
    inputs: {},
    outputs: { y: value },
    attributes: {},
  }))
  const count = 4 + random(40)
  for (let i = 0; i < count; i++) {
    const a = values[random(values.length)]!
    const partners = values.filter((value) => value.shape[1] === a.shape[1])
    const b = partners[random(partners.length)]!
    const kind = random(3)
    const node =
      kind === 0
        ? makeNode(dropout, `n${i}`, { x: a }, { dropout: 0.5, rng: 1 })
        : makeNode(kind === 1 ? add : mul, `n${i}`, { a, b })
    nodes.push(node)
    values.push(node.outputs.y!)
  }
  return { name: 'random', nodes, output: values[random(values.length)], loss: values.at(-1), updates: false }
}

/**
 * Runs the plan on a memory of owners: a node must find every operand still its own, whatever was written meanwhile.
 * In place a value takes over its donor's bytes exactly. A guard counts as its value's own.
 */
function firstClobbered(entry: Entry, capacity: Capacity, guard = 0): string | undefined {
  const { offsets, bytes } = planArena(lifetimes(entry), capacity, guard)
  const spans = new Map<Value, readonly [number, number]>()
  for (const [value, offset] of offsets) spans.set(value, [offset, offset + alignedBytes(value, capacity) + guard])
  if ([...spans.values()].some(([, end]) => end > bytes)) return 'a value ends outside of the arena'
  const whole = new Set<Value>()
  const intact = (value: Value) => !spans.has(value) || whole.has(value)
  for (const node of entry.nodes) {
    for (const value of Object.values(node.inputs)) if (!intact(value)) return `${node.name} reads ${value.name}`
    for (const value of Object.values(node.outputs)) {
      const span = spans.get(value)
      if (!span) continue
      for (const other of [...whole]) {
        const [start, end] = spans.get(other)!
        if (start >= span[1] || span[0] >= end) continue
        const exact = start === span[0] && end === span[1]
        const operand = Object.values(node.inputs).includes(other)
        if (operand && !exact) return `${node.name} writes over part of its operand ${other.name}`
        if (operand && !['add', 'mul', 'dropout'].includes(node.op)) return `${node.op} ${node.name} runs in place`
        if (Object.values(node.outputs).includes(other)) return `${node.name} writes two outputs to one place`
        whole.delete(other)
      }
      whole.add(value)
    }
  }
  for (const value of [entry.output, entry.loss, entry.norm])
    if (value && !intact(value)) return `result ${value.name} is lost`
  return undefined
}

test('200 random graphs', (t) => {
  for (let seed = 0; seed < 200; seed++) {
    const entry = randomEntry(seed)
    const capacity = { tokens: 1 + (seed % 97), sequences: 3 }
    for (const guard of [0, 64]) t.is(firstClobbered(entry, capacity, guard), undefined, `seed ${seed}, guard ${guard}`)
    const { bytes, lowerBound, offsets } = planArena(lifetimes(entry), capacity)
    t.true(bytes >= lowerBound)
    t.true([...offsets.values()].every((offset) => offset % 64 === 0))
  }
})

test('every entry of every kind of training, within a tenth of the lower bound', (t) => {
  const capacity = { tokens: 500, sequences: 16 }
  for (const trainable of [['adapters', 'layerNorm', 'head'], 'all', { topLayers: 1 }] as const) {
    for (const dropoutRate of [0, 0.1]) {
      const options = {
        task: { kind: 'classification', outputs: 3 },
        head: { pool: 'pooler' },
        trainable,
        dropout: dropoutRate,
      } as unknown as TrainerOptions
      for (const entry of compileModel(tinyEncoder(), resolveTrainerOptions(options)).entries) {
        for (const guard of [0, 64]) t.is(firstClobbered(entry, capacity, guard), undefined, entry.name)
        const { bytes, lowerBound } = planArena(lifetimes(entry), capacity)
        t.true(bytes <= 1.1 * lowerBound, `${entry.name}: ${bytes} against ${lowerBound}`)
      }
    }
  }
})

test('inference keeps nothing: its arena does not grow with the layers', (t) => {
  const options = resolveTrainerOptions({ task: { kind: 'classification', outputs: 3 } } as TrainerOptions)
  const bytesOf = (layers: number) => {
    const { entries } = compileModel(
      tinyEncoder({
        layers,
        hidden: 64,
        heads: 4,
        feedForward: 128,
        vocabulary: 10,
        positions: 8,
        tokenTypes: 2,
        pooler: false,
      }),
      options,
    )
    return planArena(lifetimes(entries.find((entry) => entry.name === 'forward')!), { tokens: 256, sequences: 4 }).bytes
  }
  t.is(bytesOf(2), bytesOf(6))
})

test('tensors of the flat buffers lie on lines of their own, with guards where a test asks for them', (t) => {
  const parameters = [[3, 5], [5], [2, 16]].map((shape, i): Value => ({
    name: `p${i}`,
    dtype: 'f32',
    shape,
    storage: 'parameter',
  }))
  for (const [guard, expected] of [
    [0, [0, 48, 16]],
    [64, [0, 80, 32]],
  ] as const) {
    const layout = layOutParameters(parameters, () => true, guard)
    t.deepEqual(
      parameters.map(({ name }) => layout.offsets.get(name)),
      [...expected],
    )
    t.is(layout.size, expected[1] + 16 + guard / 4)
    const { entries, arenaBytes } = planProgram([randomEntry(1)], layout, { tokens: 3, sequences: 1 })
    t.is(arenaBytes, planArena(lifetimes(entries[0]!.entry), { tokens: 3, sequences: 1 }, guard).bytes)
  }
})
