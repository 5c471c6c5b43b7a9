/** Optimizer entries: the gradient norm of the flat buffer, then AdamW over it, as a training step ends. */
import type { AttributeValue, Node, Value } from '../../lib/ir/graph.js'
import { makeNode } from '../../lib/ops/define.js'
import { adamw } from '../../lib/ops/adamw.js'
import { gradNorm } from '../../lib/ops/grad_norm.js'
import { wholeBuffer } from '../../lib/plan/layout.js'
import { compileEntries, open } from './device.js'
import { reference } from './reference.js'
import type { Round, Scalars, Tensor } from './reference/types.js'
import { tensor } from './reference/types.js'

export interface OptimizerState {
  readonly parameters: Float32Array
  readonly moment1: Float32Array
  readonly moment2: Float32Array
}

export interface OptimizerRun {
  readonly state: OptimizerState
  readonly gradients: Float32Array
  readonly attributes: Readonly<Record<string, AttributeValue>>
  readonly learningRate: number
  readonly step: number
  readonly threads?: number
}

export interface OptimizerResult extends OptimizerState {
  readonly norm: number
}

const slots = ['parameters', 'moment1', 'moment2'] as const
const storages = { parameters: 'parameter', moment1: 'moment1', moment2: 'moment2' } as const

/** One native step. All arrays have one length, a multiple of 16 (the flat buffer's lines). */
export async function runOptimizer(isa: string, run: OptimizerRun): Promise<OptimizerResult> {
  const size = run.gradients.length
  const flat = (storage: Value['storage']): Value => ({ name: wholeBuffer, dtype: 'f32', shape: [size], storage })
  const gradients = flat('gradient')
  const norm = makeNode(gradNorm, 'grad_norm', { gradients })
  const made = makeNode(adamw, 'adamw', { gradients, norm: norm.outputs['norm'] }, run.attributes)
  const update: Node = { ...made, outputs: Object.fromEntries(slots.map((slot) => [slot, flat(storages[slot])])) }
  const entry = { name: 'update', nodes: [norm, update], norm: norm.outputs['norm'], updates: true }
  const held: Value = { name: 'all', dtype: 'f32', shape: [size], storage: 'parameter' }
  const contents = new Map<Value, Float32Array>([
    [held, run.state.parameters],
    [gradients, run.gradients],
  ])
  const scalars = { learningRate: run.learningRate, step: run.step, seed: 0n }
  const compiled = compileEntries([entry], contents, { tokens: 1, sequences: 1 }, scalars)
  const { session } = await open(compiled, isa, run.threads ?? 1)
  try {
    const whole = (data: Float32Array) => {
      const buffer = new Float32Array(compiled.layout.size)
      buffer.set(data)
      return buffer
    }
    await session.write('moment1', whole(run.state.moment1))
    await session.write('moment2', whole(run.state.moment2))
    const batch = { ids: Int32Array.of(0), cu: Int32Array.of(0, 1), learningRate: run.learningRate, step: run.step }
    const { norms } = await session.run('update', [batch])
    const [parameters, moment1, moment2] = (await Promise.all(slots.map((slot) => session.read(slot)))).map((data) =>
      data.slice(0, size),
    )
    return { parameters: parameters!, moment1: moment1!, moment2: moment2!, norm: norms[0]! }
  } finally {
    await session.dispose()
  }
}

/** The same by the reference loops. */
export function referenceOptimizer(
  run: OptimizerRun,
  round: Round,
): Record<'parameters' | 'moment1' | 'moment2' | 'norm', Tensor> {
  const size = [run.gradients.length]
  const scalars: Scalars = { learningRate: round(run.learningRate), step: run.step, seed: 0n }
  const gradients = tensor(size, run.gradients)
  const { norm } = reference['grad_norm']!({ inputs: { gradients }, attributes: {}, scalars, round })
  const state = Object.fromEntries(slots.map((slot) => [slot, tensor(size, run.state[slot])]))
  const attributes = Object.fromEntries(
    Object.entries(run.attributes).map(([name, value]) => [name, Math.fround(Number(value))]),
  )
  const made = reference['adamw']!({ inputs: { gradients, norm: norm!, ...state }, attributes, scalars, round })
  return { parameters: made['parameters']!, moment1: made['moment1']!, moment2: made['moment2']!, norm: norm! }
}
