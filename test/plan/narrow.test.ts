import test from 'ava'
import { inputs, type Value } from '../../lib/ir/graph.js'
import { compileModel } from '../../lib/train/compile.js'
import { resolveTrainerOptions } from '../../lib/train/trainer_options.js'
import { opByName } from '../../lib/ops/index.js'
import { narrowEntries } from '../../lib/plan/narrow.js'
import { planProgram } from '../../lib/plan/plan.js'
import type { Entry } from '../../lib/plan/schedule.js'
import { loadGoldenBackbone } from '../support/model.js'

async function compiled(size: number) {
  const backbone = await loadGoldenBackbone()
  const options = { backbone, task: { kind: 'classification', outputs: 2 }, adapter: { size }, dropout: 0.1 } as const
  return compileModel(backbone.imported, resolveTrainerOptions(options))
}

function valuesOf({ nodes }: Entry): Value[] {
  return nodes.flatMap(({ inputs, outputs }) => [...Object.values(inputs), ...Object.values(outputs)])
}

test('operands are of types that their ops take', async (t) => {
  const { entries, layout } = await compiled(8)
  for (const entry of narrowEntries(entries, layout)) {
    for (const node of entry.nodes) {
      const op = opByName(node.op)
      const operands = [
        ...Object.entries(node.outputs).map(([name, value]) => [op.outputs[name]!, value] as const),
        ...Object.entries(node.inputs).map(([name, value]) => [op.inputs[name]!, value] as const),
      ]
      const narrow = operands.filter(([{ stored }]) => stored === 'narrow').map(([, { dtype }]) => dtype)
      t.true(new Set(narrow).size <= 1, `${node.op} "${node.name}" mixes ${narrow.join()}`)
      for (const [{ stored, dtype = 'f32' }, value] of operands)
        if (!stored) t.is(value.dtype, dtype, `${node.op} "${node.name}": ${value.name}`)
    }
  }
})

test('what a LayerNorm adds up, logits and loss stay f32; a value that is read both ways is converted once', async (t) => {
  const { entries, layout } = await compiled(8)
  const step = narrowEntries(entries, layout).find(({ name }) => name === 'step')!
  const adapters = step.nodes.filter(({ op }) => op === 'adapter')
  t.true(adapters.length > 0)
  for (const { inputs: read } of adapters) {
    t.is(read.x!.dtype, 'f32')
    t.is(read.residual!.dtype, 'bf16')
    t.is(read.down_w!.storage, 'working')
  }
  const losses = step.nodes.filter(({ op }) => op === 'cross_entropy')
  t.deepEqual(
    losses.map(({ inputs: read }) => read.logits!.dtype),
    ['f32'],
  )
  const casts = step.nodes.filter(({ op }) => op === 'cast')
  t.is(casts.length, 1 + adapters.length, 'the working copy, and the inputs of adapters for their backward pass')
  t.is(casts[0], step.nodes[0])
})

test('entries share their weights, and memory is nearly half', async (t) => {
  const { entries, layout } = await compiled(8)
  const narrow = narrowEntries(entries, layout)
  const frozen = new Map<string, Value>()
  for (const value of narrow.flatMap(valuesOf).filter(({ storage }) => storage === 'frozen')) {
    t.is(frozen.get(value.name) ?? value, value, value.name)
    frozen.set(value.name, value)
    t.is(value.dtype, value.shape.length === 2 ? 'bf16' : 'f32')
  }
  const capacity = { tokens: 1024, sequences: 32 }
  const share = planProgram(narrow, layout, capacity).arenaBytes / planProgram(entries, layout, capacity).arenaBytes
  t.true(share < 0.6, `${share}`)
})

test('a program without anything to narrow stays as it is', (t) => {
  const entry: Entry = { name: 'nothing', nodes: [], updates: false, output: inputs.cu }
  t.deepEqual(narrowEntries([entry], { size: 0, decayed: 0, offsets: new Map(), trained: [], held: [], guard: 0 }), [
    { ...entry },
  ])
})
