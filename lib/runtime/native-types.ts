/**
 * The typed mirror of native/napi: every class and function of the addon, and nothing else. Shape letters are those of
 * lib/ir/graph.ts.
 */

/** One line of native/ops/opcodes.h, as the addon was compiled with it. */
export interface NativeOp {
  readonly code: number
  readonly name: string
  /** `y derivative? <- x w b?` */
  readonly operands: string
  /** `activation:i32` */
  readonly attributes: string
}

export interface NativeDescription {
  /** Version of the package that the addon was built from. */
  readonly version: string
  readonly ops: readonly NativeOp[]
  /** Instruction sets that this CPU can run, best first. */
  readonly isas: readonly string[]
  /** Instruction sets that are compiled in, best first. */
  readonly compiledIsas: readonly string[]
  /** The CPU's name, as the system gives it. */
  readonly cpu: string
  /** Threads that the system offers to this process. */
  readonly threads: number
  readonly cuda: NativeCuda
}

/** What GPUs there are for this addon. */
export interface NativeCuda {
  readonly ok: boolean
  /** Why there is none: what was sought, and what to do. Empty where `ok`. */
  readonly reason: string
  /** CUDA version that the addon was built with, such as `13.0`; empty where it was built without. */
  readonly toolkit: string
  /** The newest CUDA version that the driver supports; empty where there is no driver. */
  readonly driver: string
  /** Version of the cuBLASLt that was found, such as `13.1.0`; empty unless `ok`. */
  readonly cublaslt: string
  /** In words, by index. */
  readonly gpus: readonly string[]
}

/** Rows of a weight as a model file holds them. */
export interface WeightPart {
  /** Values, or the bits of half floats. Read until `load` settles. */
  readonly data: Float32Array | Uint16Array
  readonly rows: number
  /** `data` is [columns, rows] instead of [rows, columns]. */
  readonly transposed: boolean
}

export interface WeightEntry {
  /** `<value name>|<form>`, unique. */
  readonly key: string
  /** 0 raw, 1 packed, 2 packed transposed: `Form` of native/ops/call.h. */
  readonly form: number
  /** 0 f32, 2 bf16, rounded to nearest: `DType` of native/base/dtype.h. @default 0 */
  readonly dtype?: number
  readonly rows: number
  /** 1 for vectors. */
  readonly columns: number
  /** Concatenated along rows. */
  readonly parts: readonly WeightPart[]
}

export interface NativeWeights {
  /** Copies and prepacks, off the JavaScript thread, all or nothing. Rejects with ERR_WEIGHTS, ERR_MEMORY. */
  load(entries: readonly WeightEntry[]): Promise<void>
  has(key: string): boolean
  /** Of all native buffers, 16 hex digits: shows that training left them alone. */
  hash(): string
  /** Native memory held. */
  bytes(): number
}

/** Typed arrays are read while the step runs: leave them alone until `run` settles. */
export interface NativeBatch {
  /** [T] token ids of all sequences, one after the other. */
  readonly ids: Int32Array
  /** [T] token types. @default all 0 */
  readonly types?: Int32Array
  /** [B + 1] cumulative lengths, from 0 to T. */
  readonly cu: Int32Array
  /** Where the entry reads weights of tasks: the task of each group of rows, as `addTask` numbered it. */
  readonly tasks?: Int32Array
  /** One past the last row of each group; rows of a group stand together, and the last of these is B. */
  readonly taskEnds?: Int32Array
  /** As the entry's loss asks. */
  readonly labels?: Int32Array | Float32Array
  /** @default 0 */
  readonly learningRate?: number
  /** Number of the optimizer step, from 0; drives dropout and bias correction. @default the session's own count */
  readonly step?: number
}

/** One element for each batch that ran: an entry that updates stops behind a loss or norm that is not finite. */
export interface NativeRunResult {
  /** NaN where the entry computes no loss. */
  readonly losses: Float32Array
  /** Norm of the gradients before clipping; NaN where the entry computes none. */
  readonly norms: Float32Array
  readonly milliseconds: Float64Array
  /** The entry's output buffer, flat; empty where it has none. */
  readonly outputs: readonly Float32Array[]
  /** Of every op of the entry, in order; absent unless the session was made with `timing`. */
  readonly opMilliseconds?: readonly Float64Array[]
}

/** The flat f32 buffers of a session. Where the program only infers there are no gradients and no moments. */
export type Slot = 'parameters' | 'gradients' | 'moment1' | 'moment2'

/** Bytes. */
export interface NativeMemory {
  /** Parameters, and where the program trains gradients and both moments. */
  readonly parameters: number
  readonly activations: number
  readonly scratch: number
  /** Weights of all tasks that were added. */
  readonly tasks: number
  /** Shared with other sessions on the same weights. */
  readonly frozen: number
}

/** c[rows, columns] = a[rows, depth] · b[depth, columns]; a transposed operand is stored the other way round. */
export interface ProductShape {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  readonly transposeA: boolean
  readonly transposeB: boolean
}

export interface NativeStatistics {
  /** `run` calls that succeeded. */
  readonly runs: number
  /** Batches in them. */
  readonly steps: number
}

export interface NativeSession {
  /**
   * Runs the entry once for each batch, in order, off the JavaScript thread. Throws ERR_BUSY while an earlier `run` is
   * not settled. Rejects with ERR_BATCH or ERR_CAPACITY; batches before the wrong one have then taken effect, and
   * `details.batch` is its index.
   * @param program taken first, in the same job: another one for the same parameters, as a rule of larger capacity; they
   * and the moments are kept. Where it is refused, with ERR_PROGRAM or ERR_MEMORY, nothing runs and nothing changes
   */
  run(entry: string, batches: readonly NativeBatch[], program?: Uint8Array): Promise<NativeRunResult>
  /** A copy, after the jobs before it. Throws ERR_OPTION for a buffer that the program has not; so do the next two. */
  read(slot: Slot): Promise<Float32Array>
  /** Replaces the whole buffer, after the jobs before it. */
  write(slot: Slot, data: Float32Array): Promise<void>
  /**
   * Weights of one more task, by the keys of the program's `task` buffers; resolves to the number that batches name it by.
   * Rejects with ERR_WEIGHTS, ERR_PROGRAM naming a key, ERR_MEMORY, and then nothing changed.
   */
  addTask(entries: readonly WeightEntry[]): Promise<number>
  /** Frees a task's weights, after the jobs before it; its number may be given again. Rejects with ERR_OPTION. */
  removeTask(task: number): Promise<void>
  /**
   * The most floating-point operations a second that the session's threads reach in short windows of nothing but fused
   * multiply-adds (two operations each) in registers, with the instructions its kernels use.
   * @param milliseconds about how long to try, at most 60,000
   */
  measureRoof(milliseconds: number): Promise<number>
  /** The same for matrix products of one shape, on a GPU by cuBLASLt; on a CPU as `measureRoof`, whatever the shape. */
  measureProduct(product: ProductShape, milliseconds: number): Promise<number>
  memory(): NativeMemory
  statistics(): NativeStatistics
  /** The buffer itself, shared with native code: its content is defined only while no job runs. */
  arena(slot: Slot): ArrayBuffer
  /** Waits for the jobs before it, then frees. Later calls of other methods throw ERR_DISPOSED. */
  dispose(): Promise<void>
}

export interface NativeSessionOptions {
  /** With the session's own thread. @default 1 */
  readonly threads?: number
  /** Fills activations and scratch memory with NaN before each step, for tests. @default false */
  readonly poison?: boolean
  /** Notes the time of every op: see `opMilliseconds`. @default false */
  readonly timing?: boolean
}

export interface NativeAddon {
  describe(): NativeDescription
  /** `device`: an instruction set of this CPU, `cuda` or `cuda:<index>`. Throws ERR_DEVICE with the reason. */
  readonly Weights: new (options: { readonly device: string }) => NativeWeights
  readonly Session: {
    /** Decodes, validates, allocates. Rejects with ERR_PROGRAM, ERR_MEMORY. */
    create(weights: NativeWeights, program: Uint8Array, options?: NativeSessionOptions): Promise<NativeSession>
  }
}
