/** A native session on one linear layer, for tests of the boundary itself: who may call what, and how processes end. */
import type { NativeBatch, NativeSession } from '../../lib/runtime/native-types.js'
import { builtFrom, CaseBuilder } from './cases.js'
import { batchOf, compileEntries, open, usableIsas } from './device.js'

export interface PlainSession {
  readonly session: NativeSession
  /** One batch; give many of them for a long run. */
  readonly batch: NativeBatch
  /** The program, to give with a run. */
  readonly program: Uint8Array
}

const scalars = { learningRate: 0, step: 0, seed: 0n }

/**
 * Its entries: `large` computes and keeps nothing, a millisecond or so a batch; `small` gives y[T, 3] back.
 * @param spare capacity beyond the batch, in tokens and sequences
 */
export async function plainSession(spare = 0): Promise<PlainSession> {
  const g = new CaseBuilder([40, 24], 'plain session')
  const node = g.node('linear', { x: g.tokenRows('x', 512), w: g.frozen('w', [512, 512]) }, { activation: 'gelu' })
  const y = g.node('linear', { x: node.outputs['y']!, w: g.frozen('last', [3, 512]) }, { activation: 'none' })
  const built = builtFrom(g, y)
  const entries = [
    { name: 'large', nodes: built.nodes, updates: false },
    { name: 'small', nodes: built.nodes, output: y.outputs['y']!, updates: false },
  ]
  const capacity = { tokens: built.ids.length + spare, sequences: built.cu.length - 1 + spare }
  const compiled = compileEntries(entries, built.contents, capacity, scalars)
  const { session } = await open(compiled, usableIsas()[0]!, 2)
  return { session, batch: batchOf(built, scalars), program: compiled.program }
}
