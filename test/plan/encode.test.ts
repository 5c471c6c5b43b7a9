/** Program bytes, read back word by word, and the report of a plan. */
import test from 'ava'
import { encode } from '../../lib/plan/encode.js'
import { planProgram, weightUses } from '../../lib/plan/plan.js'
import { planReport, printPlanReport } from '../../lib/plan/report.js'
import { opByName } from '../../lib/ops/index.js'
import { compileModel } from '../../lib/train/compile.js'
import { resolveTrainerOptions, type TrainerOptions } from '../../lib/train/trainer_options.js'
import { miniLmShape, tinyEncoder } from '../support/tiny_encoder.js'

const capacity = { tokens: 256, sequences: 16 }

function plan(options: Partial<TrainerOptions> = {}, shape = { ...miniLmShape, vocabulary: 100 }) {
  const model = resolveTrainerOptions({ task: { kind: 'classification', outputs: 3 }, ...options } as TrainerOptions)
  const compiled = compileModel(tinyEncoder(shape), model)
  return planProgram(compiled.entries, compiled.layout, capacity)
}

interface Buffer {
  readonly storage: number
  readonly form: number
  readonly dims: number[]
  readonly offset: number
  readonly key: string
}

/** Reads a program as native/runtime/program.cc does. */
function decode(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const word = () => view.getUint32((at += 4) - 4, true)
  const words = (count: number) => Array.from({ length: count }, word)
  const long = () => word() + word() * 2 ** 32
  const head = {
    magic: word(),
    version: word(),
    length: word(),
    tokens: word(),
    sequences: word(),
    seed: words(2),
    parameters: word(),
    arena: long(),
    guard: word(),
  }
  const [bufferCount, entryCount, stringBytes] = words(3) as [number, number, number]
  const strings = bytes.subarray(at, (at += stringBytes))
  const string = () => {
    const [offset, length] = words(2) as [number, number]
    return new TextDecoder().decode(strings.subarray(offset, offset + length))
  }
  const buffers = Array.from({ length: bufferCount }, (): Buffer => {
    const [storage, , form] = words(4) as [number, number, number]
    return { storage, form, dims: words(6), offset: long(), key: string() }
  })
  const entries = Array.from({ length: entryCount }, () => {
    const entry = { name: string(), loss: word(), norm: word(), output: word(), updates: word() }
    const calls = Array.from({ length: word() }, () => ({
      code: word(),
      name: string(),
      operands: words(word()),
      attributes: words(word()),
    }))
    return { ...entry, ops: calls }
  })
  return { ...head, buffers, entries, end: at }
}

test('a program reads back as it was planned', (t) => {
  const planned = plan()
  const bytes = encode(planned, [7, 9])
  const program = decode(bytes)
  t.is(program.end, bytes.length)
  t.is(program.length, bytes.length)
  t.is(program.magic, 0x5250414f)
  t.is(new TextDecoder().decode(bytes.subarray(0, 4)), 'OAPR')
  t.deepEqual([program.version, program.tokens, program.sequences, program.seed], [2, 256, 16, [7, 9]])
  t.deepEqual([program.parameters, program.arena, program.guard], [planned.layout.size, planned.arenaBytes, 0])
  t.deepEqual(
    program.entries.map(({ name, updates }) => [name, updates]),
    [
      ['forward', 0],
      ['evaluate', 0],
      ['gradients', 0],
      ['step', 1],
    ],
  )
  for (const [i, { ops }] of program.entries.entries()) {
    const { nodes } = planned.entries[i]!.entry
    t.deepEqual(
      ops.map(({ code, name }) => [code, name]),
      nodes.map((node) => [opByName(node.op).code, node.name]),
    )
    t.true(
      ops.every(({ operands }) =>
        operands.every((operand) => operand === 0xffff_ffff || operand < program.buffers.length),
      ),
    )
  }
})

test('frozen weights have one buffer per form, activations lie on lines within the arena', (t) => {
  const planned = plan()
  const { buffers } = decode(encode(planned, [0, 0]))
  const keys = buffers.filter(({ storage }) => storage === 1).map(({ key }) => key)
  t.is(new Set(keys).size, keys.length)
  t.deepEqual(
    [...keys].sort(),
    weightUses(planned.entries.map(({ entry }) => entry))
      .map(({ key }) => key)
      .sort(),
  )
  t.true(keys.includes('layer.0.ffn.up.weight|packed') && keys.includes('layer.0.ffn.up.weight|packedTransposed'))
  t.true(keys.includes('embeddings.word.weight|raw'))
  const activations = buffers.filter(({ storage }) => storage === 6)
  t.true(activations.length > 100)
  t.true(activations.every(({ offset }) => offset % 64 === 0 && offset < planned.arenaBytes))
})

test('with the head alone trained nothing is packed for the backward pass', (t) => {
  const report = planReport(plan({ adapter: false, trainable: ['head'] }))
  t.is(report.bytes.weightsBackward, 0)
})

test('the report counts bytes by kind', (t) => {
  const report = planReport(plan())
  const matrices = 6 * (4 * 384 * 384 + 2 * 384 * 1536)
  t.is(report.bytes.weightsForward, 4 * matrices)
  // The whole encoder is crossed backwards, down to the embeddings' LayerNorm.
  t.is(report.bytes.weightsBackward, 4 * matrices)
  t.true(report.bytes.parameters >= 4 * (595_200 + 9_984 + 3 * 384 + 3))
  t.is(report.bytes.moments, 2 * report.bytes.parameters)
  t.true(report.bytes.activations >= report.bytes.activationsLowerBound)
  t.true(report.bytes.saved > 0 && report.bytes.saved <= report.bytes.activations)
  const text = printPlanReport(report)
  t.regex(text, /^plan for 256 tokens in 16 sequences\n/)
  t.regex(text, /entry step: \d+ ops/)
})
