import { DeviceError, OnnxAdaptersError } from '../errors.js'
import type { Capacity } from '../plan/arena.js'
import { encode } from '../plan/encode.js'
import type { ParameterLayout } from '../plan/layout.js'
import { planProgram, weightUses, type Plan } from '../plan/plan.js'
import type { Entry } from '../plan/schedule.js'
import { addon } from './binding.js'
import type { NativeBatch, NativeMemory, NativeRunResult, NativeSession, Slot } from './native-types.js'
import type { WeightPool } from './weights.js'

export interface SessionOptions {
  readonly entries: readonly Entry[]
  readonly layout: ParameterLayout
  readonly weights: WeightPool
  /** Key of every random stream, as two 32-bit words. */
  readonly seed: readonly [number, number]
  readonly threads: number
  /** Room to begin with; a larger batch plans again. @default 256 tokens, 16 sequences */
  readonly capacity?: Capacity
  /** Notes the time of every op: `opMilliseconds` of a run. @default false */
  readonly timing?: boolean
}

/** Capacities grow in these steps, so that batches of slightly different size share a plan. */
const tokenStep = 256
const sequenceStep = 16

/**
 * A finished program on a device. Adds to the native session: weights loaded when first needed, a plan that grows with
 * the batches, and errors that point at the caller.
 */
export class Session {
  readonly #options: SessionOptions
  readonly #native: NativeSession
  #plan: Plan
  #busy = false
  #disposed: Promise<void> | undefined

  private constructor(options: SessionOptions, native: NativeSession, plan: Plan) {
    this.#options = options
    this.#native = native
    this.#plan = plan
  }

  /** @throws {DeviceError} ERR_ADDON, ERR_MEMORY, ERR_PROGRAM */
  static async create(options: SessionOptions): Promise<Session> {
    const { entries, layout, weights, seed, threads, timing = false } = options
    const capacity = options.capacity ?? { tokens: tokenStep, sequences: sequenceStep }
    return atCallSite(async () => {
      await weights.ensure(weightUses(entries))
      const plan = planProgram(entries, layout, capacity)
      const native = await addon().Session.create(weights.native, encode(plan, seed), { threads, timing })
      return new Session(options, native, plan)
    })
  }

  /** The plan now in force, for reports. */
  get plan(): Plan {
    return this.#plan
  }

  /**
   * Runs an entry once per batch, in order. `then` reads a buffer as these batches left it.
   * @throws {DeviceError} ERR_BUSY while an earlier run is not settled, ERR_DISPOSED, ERR_BATCH
   */
  async run(entry: string, batches: readonly NativeBatch[]): Promise<NativeRunResult>
  async run(
    entry: string,
    batches: readonly NativeBatch[],
    then: Slot,
  ): Promise<NativeRunResult & { read: Float32Array }>
  async run(
    entry: string,
    batches: readonly NativeBatch[],
    then?: Slot,
  ): Promise<NativeRunResult & { read?: Float32Array }> {
    this.#checkUsable()
    if (this.#busy) {
      throw new DeviceError('ERR_BUSY', `"${entry}" was started while an earlier run is not finished: await it first`, {
        entry,
      })
    }
    this.#busy = true
    try {
      return await atCallSite(async () => {
        await this.#makeRoom(batches)
        const result = await this.#native.run(entry, batches)
        return then ? { ...result, read: await this.#native.read(then) } : result
      })
    } finally {
      this.#busy = false
    }
  }

  /** A copy of a flat buffer, as it is after the runs before. */
  async read(slot: Slot): Promise<Float32Array> {
    this.#checkUsable()
    return atCallSite(() => this.#native.read(slot))
  }

  /** Replaces a flat buffer. */
  async write(slot: Slot, data: Float32Array): Promise<void> {
    this.#checkUsable()
    return atCallSite(() => this.#native.write(slot, data))
  }

  /** Floating-point operations a second that the session's threads can do: see `NativeSession.measureRoof`. */
  async measureRoof(milliseconds: number): Promise<number> {
    this.#checkUsable()
    return atCallSite(() => this.#native.measureRoof(milliseconds))
  }

  memory(): NativeMemory {
    this.#checkUsable()
    return this.#native.memory()
  }

  /** Lets the running job finish, then frees. May be called again. */
  dispose(): Promise<void> {
    return (this.#disposed ??= this.#native.dispose())
  }

  #checkUsable(): void {
    if (this.#disposed) throw new DeviceError('ERR_DISPOSED', 'this has been disposed and cannot be used any more')
  }

  async #makeRoom(batches: readonly NativeBatch[]): Promise<void> {
    const { capacity } = this.#plan
    const tokens = Math.max(0, ...batches.map((batch) => batch.ids.length))
    const sequences = Math.max(0, ...batches.map((batch) => batch.cu.length - 1))
    if (tokens <= capacity.tokens && sequences <= capacity.sequences) return
    const { entries, layout, seed } = this.#options
    const grown = planProgram(entries, layout, {
      tokens: grow(capacity.tokens, tokens, tokenStep),
      sequences: grow(capacity.sequences, sequences, sequenceStep),
    })
    await this.#native.replan(encode(grown, seed))
    this.#plan = grown
  }
}

/** At least a quarter more than before, so that slowly growing batches do not plan each time. */
function grow(before: number, needed: number, step: number): number {
  return needed <= before ? before : Math.ceil(Math.max(needed, before * 1.25) / step) * step
}

/**
 * Native errors that come back asynchronously have no JavaScript frames. So an error made here, at the call, lends them
 * its stack; code and details stay theirs.
 */
async function atCallSite<T>(start: () => Promise<T>): Promise<T> {
  const site = new Error()
  try {
    return await start()
  } catch (cause) {
    if (cause instanceof OnnxAdaptersError || !(cause instanceof Error)) throw cause
    const { code = 'ERR_DEVICE', details = {} } = cause as Error & { code?: string; details?: Record<string, unknown> }
    const error = new DeviceError(code, cause.message, details, { cause })
    error.stack = `${error.name}: ${error.message}\n${(site.stack ?? '').split('\n').slice(1).join('\n')}`
    throw error
  }
}
