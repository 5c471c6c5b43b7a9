import { DeviceError, OnnxAdaptersError } from '../errors.js'
import type { DType } from '../ir/graph.js'
import type { Capacity } from '../plan/arena.js'
import { encode } from '../plan/encode.js'
import { narrowEntries } from '../plan/narrow.js'
import type { ParameterLayout } from '../plan/layout.js'
import { planProgram, weightUses, type Plan, type WeightUse } from '../plan/plan.js'
import type { Entry } from '../plan/schedule.js'
import { addon } from './binding.js'
import type { NativeBatch, NativeMemory, NativeRunResult, NativeSession, ProductShape, Slot } from './native-types.js'
import { weightEntry, type WeightPool } from './weights.js'

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
 *
 * Calls reach the device in their order, awaited or not: `read` behind `run` gives what the run left, `dispose` lets it
 * finish. What computes or changes (`run`, `write`, `update`) is refused with ERR_BUSY, at the call, while an earlier
 * such call is not settled.
 */
export class Session {
  readonly #options: SessionOptions
  readonly #native: NativeSession
  /** Of weights that tasks bring, by key. */
  readonly #taskTypes: ReadonlyMap<string, DType>
  #plan: Plan
  /** Settles, and never rejects, with the call that computes or changes. */
  #underWay: Promise<void> | undefined
  /** The same, where that call still has something to queue: reads wait for it. */
  #merging: Promise<void> | undefined
  #disposed: Promise<void> | undefined

  private constructor(options: SessionOptions, native: NativeSession, plan: Plan) {
    this.#options = options
    this.#taskTypes = new Map(weightUses(options.entries, 'task').map(({ key, value }) => [key, value.dtype]))
    this.#native = native
    this.#plan = plan
  }

  /** @throws {DeviceError} ERR_ADDON, ERR_MEMORY, ERR_PROGRAM */
  static async create(options: SessionOptions): Promise<Session> {
    const { layout, weights, seed, threads, timing = false } = options
    const entries = weights.isNarrow ? narrowEntries(options.entries, layout) : options.entries
    const capacity = options.capacity ?? { tokens: tokenStep, sequences: sequenceStep }
    return atCallSite(async () => {
      await weights.ensure(weightUses(entries))
      const plan = planProgram(entries, layout, capacity)
      const native = await addon().Session.create(weights.native, encode(plan, seed), { threads, timing })
      return new Session({ ...options, entries }, native, plan)
    })
  }

  /** The plan now in force, for reports. */
  get plan(): Plan {
    return this.#plan
  }

  /**
   * Runs an entry once per batch, in order. `then` reads a buffer as these batches left it.
   * @throws {DeviceError} ERR_BUSY, ERR_DISPOSED, ERR_BATCH, ERR_MEMORY
   */
  run(entry: string, batches: readonly NativeBatch[]): Promise<NativeRunResult>
  run(entry: string, batches: readonly NativeBatch[], then: Slot): Promise<NativeRunResult & { read: Float32Array }>
  run(entry: string, batches: readonly NativeBatch[], then?: Slot): Promise<NativeRunResult & { read?: Float32Array }> {
    return this.#alone(entry, async () => {
      const plan = this.#planFor(batches)
      const program = plan === this.#plan ? undefined : encode(plan, this.#options.seed)
      // Both are queued before anything is awaited: no later call can come between.
      const running = this.#native.run(entry, batches, program)
      const reading = then && this.#native.read(then)
      const [result, read] = await Promise.all([running, reading])
      this.#plan = plan
      return { ...result, ...(read && { read }) }
    })
  }

  /** A copy of a flat buffer, as it is after the calls before. @throws {DeviceError} ERR_DISPOSED */
  async read(slot: Slot): Promise<Float32Array> {
    this.#checkUsable()
    const start = () => this.#native.read(slot)
    return atCallSite(() => this.#merging?.then(start) ?? start())
  }

  /** Replaces flat buffers. @throws {DeviceError} ERR_BUSY, ERR_DISPOSED */
  write(contents: Readonly<Partial<Record<Slot, Float32Array>>>): Promise<void> {
    return this.#alone('write', async () => {
      const slots = Object.entries(contents) as [Slot, Float32Array][]
      await Promise.all(slots.map(([slot, data]) => this.#native.write(slot, data)))
    })
  }

  /**
   * Changes parts of a flat buffer: `change` edits a copy, which then replaces it.
   * @throws {DeviceError} ERR_BUSY, ERR_DISPOSED; what `change` throws, and then the buffer stays as it was
   */
  update(slot: Slot, change: (flat: Float32Array) => void): Promise<void> {
    const updated = this.#alone('update', async () => {
      const flat = await this.#native.read(slot)
      change(flat)
      await this.#native.write(slot, flat)
    })
    this.#merging = this.#underWay
    return updated
  }

  /**
   * Weights of one more task, with the keys of `weightUses(entries, 'task')`: the number that batches name it by. Takes
   * its turn among the other calls. @throws {DeviceError} ERR_WEIGHTS, ERR_PROGRAM, ERR_MEMORY, ERR_DISPOSED
   */
  async addTask(uses: readonly WeightUse[]): Promise<number> {
    this.#checkUsable()
    return atCallSite(() => this.#native.addTask(uses.map((use) => weightEntry(this.#storedUse(use)))))
  }

  /** In the type that this session's program reads it in. */
  #storedUse(use: WeightUse): WeightUse {
    const dtype = this.#taskTypes.get(use.key) ?? use.value.dtype
    return { ...use, value: { ...use.value, dtype } }
  }

  /** Frees a task's weights, behind the runs before it. @throws {DeviceError} ERR_OPTION, ERR_DISPOSED */
  async removeTask(task: number): Promise<void> {
    this.#checkUsable()
    return atCallSite(() => this.#native.removeTask(task))
  }

  /** Floating-point operations a second that the session's threads can do: see `NativeSession.measureRoof`. */
  async measureRoof(milliseconds: number): Promise<number> {
    this.#checkUsable()
    return atCallSite(() => this.#native.measureRoof(milliseconds))
  }

  /** The same for matrix products of one shape: see `NativeSession.measureProduct`. */
  async measureProduct(product: ProductShape, milliseconds: number): Promise<number> {
    this.#checkUsable()
    return atCallSite(() => this.#native.measureProduct(product, milliseconds))
  }

  memory(): NativeMemory {
    this.#checkUsable()
    return this.#native.memory()
  }

  /** Lets the calls before it finish, then frees. May be called again. */
  dispose(): Promise<void> {
    const free = () => this.#native.dispose()
    return (this.#disposed ??= this.#underWay?.then(free) ?? free())
  }

  #checkUsable(): void {
    if (this.#disposed) throw new DeviceError('ERR_DISPOSED', 'this has been disposed and cannot be used any more')
  }

  /** Starts a call that computes or changes, unless one is under way. */
  #alone<T>(what: string, start: () => Promise<T>): Promise<T> {
    this.#checkUsable()
    if (this.#underWay) {
      throw new DeviceError('ERR_BUSY', `"${what}" was called while an earlier call is not finished: await it first`, {
        call: what,
      })
    }
    const result = atCallSite(start)
    const settled = () => (this.#underWay = this.#merging = undefined)
    this.#underWay = result.then(settled, settled)
    return result
  }

  /** The plan in force, or a larger one where the batches need it. */
  #planFor(batches: readonly NativeBatch[]): Plan {
    const { capacity } = this.#plan
    const tokens = Math.max(0, ...batches.map((batch) => batch.ids.length))
    const sequences = Math.max(0, ...batches.map((batch) => batch.cu.length - 1))
    if (tokens <= capacity.tokens && sequences <= capacity.sequences) return this.#plan
    const { entries, layout } = this.#options
    return planProgram(entries, layout, {
      tokens: grow(capacity.tokens, tokens, tokenStep),
      sequences: grow(capacity.sequences, sequences, sequenceStep),
    })
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
    const { code, details = {} } = cause as Error & { code?: string; details?: Record<string, unknown> }
    // Native errors all have a code; what has none is a fault of JavaScript, and its own stack says most.
    if (!code?.startsWith('ERR_')) throw cause
    const error = new DeviceError(code, cause.message, details, { cause })
    error.stack = `${error.name}: ${error.message}\n${(site.stack ?? '').split('\n').slice(1).join('\n')}`
    throw error
  }
}
