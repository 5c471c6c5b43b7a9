/** What a training tells while it runs. */
export type ProgressEvent =
  | {
      readonly kind: 'start'
      readonly rows: number
      readonly validationRows: number
      readonly epochs: number
      /** Steps of the whole training. */
      readonly steps: number
      /** Steps that are done: more than 0 where it goes on from a checkpoint. */
      readonly step: number
      readonly parameters: ParameterCount
    }
  | {
      readonly kind: 'step'
      readonly epoch: number
      /** Steps done, this one included. */
      readonly step: number
      readonly steps: number
      /** Mean loss of the batch, before the update. */
      readonly loss: number
      /** Global norm of the gradients before clipping. */
      readonly gradientNorm: number
      readonly learningRate: number
      /** Real tokens of the batch. */
      readonly tokens: number
      readonly milliseconds: number
    }
  | {
      readonly kind: 'evaluating'
      readonly epoch: number
      /** Validation rows that are done. */
      readonly done: number
      readonly rows: number
    }
  | {
      readonly kind: 'evaluation'
      readonly epoch: number
      /** Validation rows. */
      readonly rows: number
      readonly loss: number
      readonly metrics: Readonly<Record<string, number>>
      /** True where it is the best epoch so far. */
      readonly best: boolean
      readonly milliseconds: number
    }
  /** On disk; `epoch` is the one under way, or the one that has just ended. */
  | { readonly kind: 'checkpoint'; readonly epoch: number; readonly step: number }
  | ({ readonly kind: 'warning' } & Warning)

/** What went on, but should be known. */
export interface Warning {
  /** `WARN_*`, stable. */
  readonly code: string
  readonly message: string
}

export type ProgressListener = (event: ProgressEvent) => void

export interface ParameterCount {
  /** Scalars that are trained. */
  readonly trained: number
  /** Scalars of the backbone and of what was added to it. */
  readonly total: number
  /** trained / total. */
  readonly share: number
}

/** A training under way: await its result, or iterate over what it tells and then await. */
export type Running<T> = Promise<T> & AsyncIterable<ProgressEvent>

/**
 * Starts work that reports events, as a promise that can also be iterated over. Events before the first iteration
 * begins are not kept; a failure ends the iteration with the same error.
 */
export function running<T>(work: (emit: ProgressListener) => Promise<T>, onProgress?: ProgressListener): Running<T> {
  const queues = new Set<EventQueue>()
  const emit: ProgressListener = (event) => {
    onProgress?.(event)
    for (const queue of queues) queue.push(event)
  }
  const result = work(emit)
  const iterate = (): AsyncIterator<ProgressEvent> => {
    const queue = new EventQueue()
    queues.add(queue)
    result.then(
      () => queue.end(),
      (error: unknown) => queue.end(error),
    )
    return queue.iterate(() => queues.delete(queue))
  }
  return Object.assign(result, { [Symbol.asyncIterator]: iterate })
}

class EventQueue {
  private readonly waiting: ProgressEvent[] = []
  private ended = false
  private error: unknown
  private wake: () => void = () => {}

  push(event: ProgressEvent): void {
    this.waiting.push(event)
    this.wake()
  }

  end(error?: unknown): void {
    this.ended = true
    this.error = error
    this.wake()
  }

  /** @param left called when nobody reads any more, as after a `break` */
  async *iterate(left: () => void): AsyncGenerator<ProgressEvent> {
    try {
      for (;;) {
        yield* this.waiting.splice(0)
        if (this.waiting.length > 0) continue
        if (this.ended) break
        await new Promise<void>((resolve) => (this.wake = resolve))
      }
    } finally {
      left()
    }
    if (this.error !== undefined) throw this.error
  }
}
