/** Runs built cases on the native engine, through the planner that models go through. */
import type { Value } from '../../lib/ir/graph.js'
import { dtypeNumbers, encode, formNumbers } from '../../lib/plan/encode.js'
import { layOutParameters } from '../../lib/plan/layout.js'
import type { ParameterLayout } from '../../lib/plan/layout.js'
import { planProgram, weightUses } from '../../lib/plan/plan.js'
import type { Entry } from '../../lib/plan/schedule.js'
import type { Capacity } from '../../lib/plan/arena.js'
import { addon, describe } from '../../lib/runtime/binding.js'
import type { NativeBatch, NativeSession, NativeWeights, WeightEntry } from '../../lib/runtime/native-types.js'
import type { BuiltCase, Numbers } from './cases.js'
import type { Scalars } from './reference/types.js'

export interface Target {
  readonly isa: string
  readonly threads: number
  readonly scalars: Scalars
  /** Capacity beyond the batch, in tokens and in sequences. */
  readonly spare: number
}

/** Every instruction set of this machine, or the one that ONNX_ADAPTERS_ISA names. */
export function usableIsas(): readonly string[] {
  const forced = process.env['ONNX_ADAPTERS_ISA']
  return describe().isas.filter((isa) => !forced || isa === forced)
}

/**
 * Bytes that every buffer of a test has to itself behind its end: the engine looks at them after each op, so that a
 * kernel which writes too far fails its test with ERR_OVERRUN.
 */
export const guard = 64

/** A case as native takes it: program bytes, weights, and the first content of the flat buffers. */
export interface Compiled {
  readonly program: Uint8Array
  readonly weights: readonly WeightEntry[]
  readonly layout: ParameterLayout
  readonly parameters: Float32Array
  /** Absent where nothing in the program is a gradient. */
  readonly gradients?: Float32Array
}

/** Every result gets an entry of its own, `output0`, `output1`, ...: an entry has one output. */
export function compileCase(built: BuiltCase, outputs: readonly Value[], scalars: Scalars, spare: number): Compiled {
  return compileEntries(caseEntries(built, outputs), built.contents, caseCapacity(built, spare), scalars)
}

export function caseEntries(built: BuiltCase, outputs: readonly Value[]): Entry[] {
  return outputs.map((output, i) => ({ name: `output${i}`, nodes: built.nodes, output, updates: false }))
}

export function caseCapacity(built: BuiltCase, spare: number): Capacity {
  return { tokens: built.ids.length + spare, sequences: built.cu.length - 1 + spare }
}

export function caseLayout(contents: ReadonlyMap<Value, Numbers>): ParameterLayout {
  return layOutParameters(
    [...contents.keys()].filter((value) => value.storage === 'parameter'),
    () => true,
    guard,
  )
}

export function compileEntries(
  entries: readonly Entry[],
  contents: ReadonlyMap<Value, Numbers>,
  capacity: Capacity,
  scalars: Scalars,
): Compiled {
  const layout = caseLayout(contents)
  const seed = [Number(scalars.seed & 0xffff_ffffn), Number(scalars.seed >> 32n)] as const
  return {
    program: encode(planProgram(entries, layout, capacity), seed),
    weights: weightUses(entries).map(({ key, value, form }) => ({
      key,
      form: formNumbers[form],
      dtype: dtypeNumbers[value.dtype],
      rows: Number(value.shape[0]),
      columns: Number(value.shape[1] ?? 1),
      parts: [{ data: value.parts![0]!.data, rows: Number(value.shape[0]), transposed: false }],
    })),
    layout,
    parameters: flat(contents, layout, 'parameter'),
    ...(usesGradients(entries) && { gradients: flat(contents, layout, 'gradient') }),
  }
}

function usesGradients(entries: readonly Entry[]): boolean {
  const values = entries.flatMap(({ nodes }) =>
    nodes.flatMap(({ inputs, outputs }) => [...Object.values(inputs), ...Object.values(outputs)]),
  )
  return values.some(({ storage }) => storage === 'gradient')
}

function flat(contents: ReadonlyMap<Value, Numbers>, layout: ParameterLayout, storage: Value['storage']): Float32Array {
  const buffer = new Float32Array(layout.size)
  for (const [value, data] of contents)
    if (value.storage === storage) buffer.set(data, layout.offsets.get(value.name) ?? 0)
  return buffer
}

export interface Opened {
  readonly session: NativeSession
  readonly weights: NativeWeights
}

/**
 * A session whose activations and scratch memory hold NaN before every step: what is read must have been written. With
 * guards behind all buffers, where the program was planned so.
 */
export async function open(compiled: Omit<Compiled, 'layout'>, isa: string, threads: number): Promise<Opened> {
  const { Weights, Session } = addon()
  const weights = new Weights({ device: isa })
  await weights.load(compiled.weights)
  const session = await Session.create(weights, compiled.program, { threads, poison: true })
  await session.write('parameters', compiled.parameters)
  if (compiled.gradients) await session.write('gradients', compiled.gradients)
  return { session, weights }
}

/** The results in order, each flat over its bound shape. */
export async function runNative(built: BuiltCase, outputs: readonly Value[], target: Target): Promise<Float32Array[]> {
  const compiled = compileCase(built, outputs, target.scalars, target.spare)
  const { session } = await open(compiled, target.isa, target.threads)
  try {
    const results: Float32Array[] = []
    for (let i = 0; i < outputs.length; i++) {
      const { outputs: made } = await session.run(`output${i}`, [batchOf(built, target.scalars)])
      results.push(made[0]!)
    }
    return results
  } finally {
    await session.dispose()
  }
}

export function batchOf(built: BuiltCase, scalars: Scalars): NativeBatch {
  return {
    ids: built.ids,
    cu: built.cu,
    ...(built.types && { types: built.types }),
    ...(built.labels && { labels: built.labels.data }),
    learningRate: scalars.learningRate,
    step: scalars.step,
  }
}
