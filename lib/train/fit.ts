import { TrainError } from '../errors.js'
import type { Dataset } from '../data/dataset.js'
import type { Scores, Target, Task } from '../data/tasks/index.js'
import { isBetter } from '../metrics/direction.js'
import { scoreRows, type ForwardModel } from './score.js'
import type { ProgressListener } from './progress.js'
import type { Schedule } from './schedule.js'
import { shuffled } from './shuffle.js'

/** The part of Trainer that the loop needs. */
export interface StepModel extends ForwardModel {
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

/** How far a training has come; what a checkpoint keeps beside the tensors. */
export interface FitState {
  /** Epochs that are finished. */
  readonly epoch: number
  /** Steps that are done. */
  readonly step: number
  readonly history: readonly EpochRecord[]
  readonly best?: BestEpoch
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
  /** Called after each epoch; `best` is true where the parameters of now are the best so far. */
  readonly checkpoint: (state: FitState, best: boolean) => Promise<void>
}

export interface Throughput {
  /** Real tokens a second, evaluation not counted. */
  readonly tokensPerSecond: number
  readonly rowsPerSecond: number
  readonly stepsPerSecond: number
  /** Seconds spent in steps. */
  readonly seconds: number
}

export interface FitResult extends FitState {
  readonly best: BestEpoch
  readonly throughput: Throughput
}

/**
 * Trains for some epochs: rows in a new order each epoch, batches without padding, validation after each, the best
 * epoch remembered. Where there is no validation the last epoch is the best.
 *
 * @throws TrainError ERR_TRAIN_LOSS naming the step whose loss is not finite; the last checkpoint stays as it is
 * @throws the signal's reason, after the step under way
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  const { model, task, validation, epochs, emit, checkpoint, earlyStopping = Infinity } = options
  const meter = new Meter()
  const history: EpochRecord[] = []
  let step = 0
  let best: BestEpoch | undefined
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const started = performance.now()
    const { lossSum, steps } = await trainEpoch(options, epoch, step, meter)
    step += steps
    let scores: Scores | undefined
    let better = true
    if (validation) {
      const before = performance.now()
      scores = await scoreRows(model, task, validation, options.signal)
      better =
        best === undefined || isBetter(options.metric, scores.metrics[options.metric]!, best.metrics[options.metric]!)
      emit({ kind: 'evaluation', epoch, ...scores, best: better, milliseconds: performance.now() - before })
    }
    if (better) best = { epoch, metrics: scores?.metrics ?? {} }
    history.push({
      epoch,
      trainLoss: lossSum / steps,
      validation: scores,
      seconds: (performance.now() - started) / 1000,
    })
    await checkpoint({ epoch, step, history: [...history], best }, better)
    emit({ kind: 'checkpoint', epoch, step })
    if (epoch - best!.epoch >= earlyStopping) break
  }
  return { epoch: history.length, step, history, best: best!, throughput: meter.result() }
}

/** Steps of the whole training. */
export function countSteps(rows: number, batchSize: number, epochs: number): number {
  return Math.ceil(rows / batchSize) * epochs
}

async function trainEpoch(options: FitOptions, epoch: number, firstStep: number, meter: Meter) {
  const { model, train, epochs, batchSize, schedule, seed, signal, emit } = options
  const rows = train.inputIds.length
  const total = countSteps(rows, batchSize, epochs)
  const order = shuffled(rows, seed, epoch)
  let lossSum = 0
  let step = firstStep
  for (let start = 0; start < rows; start += batchSize, step++) {
    signal?.throwIfAborted()
    const chosen = [...order.subarray(start, start + batchSize)]
    const batch = {
      inputIds: chosen.map((row) => train.inputIds[row]!),
      tokenTypeIds: chosen.map((row) => train.tokenTypeIds[row]!),
      labels: chosen.map((row) => train.targets[row]!),
    }
    const learningRate = schedule(step)
    const before = performance.now()
    const { loss, gradientNorm } = await model.step(batch, { learningRate })
    const milliseconds = performance.now() - before
    if (!Number.isFinite(loss)) throw notFinite(step, epoch, loss, learningRate)
    lossSum += loss
    const tokens = batch.inputIds.reduce((sum, row) => sum + row.length, 0)
    meter.add(chosen.length, tokens, milliseconds)
    emit({ kind: 'step', epoch, step: step + 1, steps: total, loss, gradientNorm, learningRate, tokens, milliseconds })
  }
  return { lossSum, steps: step - firstStep }
}

function notFinite(step: number, epoch: number, loss: number, learningRate: number): TrainError {
  return new TrainError(
    'ERR_TRAIN_LOSS',
    `the loss of step ${step + 1} (epoch ${epoch}) is ${loss}: training stopped; the state before this epoch is kept. ` +
      `The learning rate there was ${learningRate}: try a smaller one`,
    { step: step + 1, epoch, loss, learningRate },
  )
}

class Meter {
  private steps = 0
  private rows = 0
  private tokens = 0
  private milliseconds = 0

  add(rows: number, tokens: number, milliseconds: number): void {
    this.steps++
    this.rows += rows
    this.tokens += tokens
    this.milliseconds += milliseconds
  }

  result(): Throughput {
    const seconds = this.milliseconds / 1000
    return {
      tokensPerSecond: this.tokens / seconds,
      rowsPerSecond: this.rows / seconds,
      stepsPerSecond: this.steps / seconds,
      seconds,
    }
  }
}
