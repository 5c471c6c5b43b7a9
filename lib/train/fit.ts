import { RunError, TrainError } from '../errors.js'
import type { Dataset } from '../data/dataset.js'
import type { Scores, Target, Task } from '../data/tasks/index.js'
import { isBetter } from '../metrics/direction.js'
import { scoreRows, type ForwardModel } from './score.js'
import type { ProgressListener } from './progress.js'
import type { Schedule } from './schedule.js'
import { shuffled } from './shuffle.js'
import { addStep, nothingSpent, throughputOf, type Spent, type Throughput } from './throughput.js'

export type { Throughput } from './throughput.js'

/** The part of Trainer that the loop needs. */
export interface StepModel extends ForwardModel {
  /** @throws TrainError where loss or gradient is not finite, with `details.gradientNorm` */
  step(
    batch: {
      inputIds: readonly (readonly number[])[]
      tokenTypeIds: readonly (readonly number[])[]
      labels: readonly Target[]
    },
    options: { learningRate: number },
  ): Promise<{ loss: number; gradientNorm: number }>
}

/** One line of the history: an epoch. */
export interface EpochRecord {
  /** Counted from 1. */
  readonly epoch: number
  /** Mean loss of the epoch's steps, each before its update. */
  readonly trainLoss: number
  /** On the validation rows; absent where there are none. */
  readonly validation?: Scores
  readonly seconds: number
}

/**
 * How far a training has come: what a checkpoint keeps beside the tensors. With them it is all that the rest of the
 * training depends on, since the order of the rows follows from seed and epoch, and dropout from seed and step.
 */
export interface FitState {
  /** Epochs that are finished, evaluation included. */
  readonly epoch: number
  /** Steps that are done, of all epochs. */
  readonly step: number
  /** The epoch under way; absent between epochs. */
  readonly current?: EpochState
  readonly history: readonly EpochRecord[]
  readonly best?: BestEpoch
  readonly spent: Spent
}

/** An epoch that is not finished. */
export interface EpochState {
  /** Steps of it that are done; all of them where only its evaluation is missing. */
  readonly steps: number
  /** Of the losses of these steps. */
  readonly lossSum: number
  readonly seconds: number
}

export interface BestEpoch {
  readonly epoch: number
  readonly metrics: Readonly<Record<string, number>>
}

export interface FitOptions {
  readonly model: StepModel
  readonly task: Task
  readonly train: Dataset
  readonly validation?: Dataset
  readonly epochs: number
  readonly batchSize: number
  readonly schedule: Schedule
  readonly seed: number
  /** Name of the metric that picks the best epoch. */
  readonly metric: string
  /** Stop after so many epochs without a better one. @default never */
  readonly earlyStopping?: number
  readonly signal?: AbortSignal
  readonly emit: ProgressListener
  /** Where to go on, with a model in the state of then. @default the beginning */
  readonly start?: FitState
  /**
   * Called after each epoch, where `isDue` says so, and before a stop that the signal asks for; `best` is true where
   * the parameters of now are the best so far.
   */
  readonly checkpoint: (state: FitState, best: boolean) => Promise<void>
  /** Whether the state after a step is to be kept. @default never: after epochs only */
  readonly isDue?: (step: number) => boolean
  /**
   * Called before a training ends over a loss or a gradient that is not finite, with the state before that step.
   * @param untouched true where the step has left the parameters as they were
   */
  readonly diverged?: (state: FitState, untouched: boolean) => Promise<void>
}

export interface FitResult extends FitState {
  readonly best: BestEpoch
  readonly throughput: Throughput
}

export const beginning: FitState = { epoch: 0, step: 0, history: [], spent: nothingSpent }

/**
 * Trains for some epochs: rows in a new order each epoch, batches without padding, validation after each, the best
 * epoch remembered. Where there is no validation the last epoch is the best.
 *
 * @throws TrainError ERR_TRAIN_LOSS, ERR_TRAIN_GRADIENT naming the step whose loss or gradient is not finite
 * @throws the signal's reason, after the step under way and a checkpoint
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  let state = options.start ?? beginning
  while (!isFinished(state, options)) state = await finishEpoch(await trainEpoch(state, options), options)
  const { best } = state
  // Unless it went on from a state that says so, which no checkpoint may.
  if (!best) throw new RunError('ERR_RUN_FILE', 'all epochs are done, but none of them is the best', { field: 'best' })
  return { ...state, best, throughput: throughputOf(state.spent) }
}

/** Steps of the whole training. */
export function countSteps(rows: number, batchSize: number, epochs: number): number {
  return Math.ceil(rows / batchSize) * epochs
}

function isFinished({ epoch, best }: FitState, { epochs, earlyStopping = Infinity }: FitOptions): boolean {
  return epoch >= epochs || (best !== undefined && epoch - best.epoch >= earlyStopping)
}

/** The steps of an epoch that are not done yet. */
async function trainEpoch(before: FitState, options: FitOptions): Promise<FitState> {
  const { train, batchSize, seed, signal, isDue } = options
  const { steps, lossSum, seconds } = before.current ?? { steps: 0, lossSum: 0, seconds: 0 }
  const started = performance.now() - 1000 * seconds
  const rows = train.inputIds.length
  const order = shuffled(rows, seed, before.epoch + 1)
  let state: FitState = { ...before, current: { steps, lossSum, seconds } }
  for (let first = steps * batchSize; first < rows; first += batchSize) {
    if (signal?.aborted) await stop(state, options)
    state = await trainStep(state, order.subarray(first, first + batchSize), started, options)
    // The checkpoint at the end of the epoch is near where this was its last step.
    if (first + batchSize < rows && isDue?.(state.step)) await keep(state, false, options)
  }
  return state
}

async function trainStep(
  state: FitState,
  chosen: Uint32Array,
  started: number,
  options: FitOptions,
): Promise<FitState> {
  const { model, train, epochs, batchSize, schedule, emit } = options
  const batch = {
    inputIds: Array.from(chosen, (row) => train.inputIds[row]!),
    tokenTypeIds: Array.from(chosen, (row) => train.tokenTypeIds[row]!),
    labels: Array.from(chosen, (row) => train.targets[row]!),
  }
  const epoch = state.epoch + 1
  const learningRate = schedule(state.step)
  const before = performance.now()
  const { loss, gradientNorm } = await model
    .step(batch, { learningRate })
    .catch((error: unknown) => failStep(error, state, options))
  const milliseconds = performance.now() - before
  const tokens = batch.inputIds.reduce((sum, row) => sum + row.length, 0)
  const { steps, lossSum } = state.current!
  const after: FitState = {
    ...state,
    step: state.step + 1,
    current: { steps: steps + 1, lossSum: lossSum + loss, seconds: (performance.now() - started) / 1000 },
    spent: addStep(state.spent, chosen.length, tokens, milliseconds),
  }
  const total = countSteps(train.inputIds.length, batchSize, epochs)
  emit({ kind: 'step', epoch, step: after.step, steps: total, loss, gradientNorm, learningRate, tokens, milliseconds })
  return after
}

/** Evaluation, history and best epoch, once all steps of an epoch are done. */
async function finishEpoch(state: FitState, options: FitOptions): Promise<FitState> {
  const { validation, metric, emit } = options
  const { steps, lossSum, seconds } = state.current!
  const epoch = state.epoch + 1
  const before = performance.now()
  const scores = validation && (await evaluateEpoch(state, validation, options))
  const milliseconds = performance.now() - before
  const isBest = scores === undefined || isBetter(metric, scores.metrics[metric], state.best?.metrics[metric])
  if (scores) {
    const rows = validation.inputIds.length
    emit({ kind: 'evaluation', epoch, rows, ...scores, best: isBest, milliseconds })
  }
  const after: FitState = {
    epoch,
    step: state.step,
    history: [
      ...state.history,
      { epoch, trainLoss: lossSum / steps, validation: scores, seconds: seconds + milliseconds / 1000 },
    ],
    best: isBest ? { epoch, metrics: scores?.metrics ?? {} } : state.best,
    spent: state.spent,
  }
  await keep(after, isBest, options)
  return after
}

async function evaluateEpoch(state: FitState, validation: Dataset, options: FitOptions): Promise<Scores> {
  const { model, task, signal, emit } = options
  const epoch = state.epoch + 1
  const rows = validation.inputIds.length
  let done = 0
  emit({ kind: 'evaluating', epoch, done, rows })
  const counted: ForwardModel = {
    forward: async (batch) => {
      const outputs = await model.forward(batch)
      done += batch.inputIds.length
      emit({ kind: 'evaluating', epoch, done, rows })
      return outputs
    },
  }
  try {
    return await scoreRows(counted, task, validation, signal)
  } catch (error) {
    if (signal?.aborted && error === signal.reason) await stop(state, options)
    throw error
  }
}

async function keep(state: FitState, best: boolean, { checkpoint, emit }: FitOptions): Promise<void> {
  await checkpoint(state, best)
  emit({ kind: 'checkpoint', epoch: state.epoch + (state.current ? 1 : 0), step: state.step })
}

async function stop(state: FitState, options: FitOptions): Promise<never> {
  await keep(state, false, options)
  throw options.signal!.reason
}

/** Ends a training over a step whose loss or gradient is not finite; other errors pass. */
async function failStep(error: unknown, state: FitState, { diverged }: FitOptions): Promise<never> {
  if (!(error instanceof TrainError)) throw error
  // AdamW leaves the parameters alone where the gradient is not finite, but not where the loss alone is not.
  await diverged?.(state, !Number.isFinite(error.details.gradientNorm))
  const epoch = state.epoch + 1
  const message = `${error.message} (Epoch ${epoch}; training stopped, and what was kept before stays.)`
  throw new TrainError(error.code, message, { ...error.details, epoch }, { cause: error })
}
