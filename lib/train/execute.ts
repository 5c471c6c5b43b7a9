/** From a prepared training to the folder of a finished run, in one go or from where an earlier process stopped. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { OnnxAdaptersError, RunError } from '../errors.js'
import { readProgress, type Earlier } from './earlier.js'
import { writeCheckpoint } from './checkpoint.js'
import { CheckpointPace } from './checkpoint_pace.js'
import { beginning, countSteps, fit, type BestEpoch, type EpochRecord, type FitState } from './fit.js'
import { refuseOther, type RunIdentity } from './identity.js'
import { MetricsLog } from './metrics_log.js'
import { claimOutput, type Claim } from './output.js'
import type { ParameterCount, ProgressListener } from './progress.js'
import { countParameters, identify, startRecord, type Prepared } from './record.js'
import {
  blameFile,
  currentVersions,
  finishRun,
  readAdapter,
  readResult,
  runFiles,
  writeRecord,
  type Parameters,
  type RunRecord,
  type Stop,
} from './run.js'
import { makeSchedule } from './schedule.js'
import type { Throughput } from './throughput.js'

export type { Prepared } from './record.js'

export interface TrainResult {
  /** Folder of the run. */
  readonly output: string
  /** The epoch that was kept; without validation the last one. */
  readonly best: BestEpoch
  /** One record an epoch. */
  readonly history: readonly EpochRecord[]
  readonly parameters: ParameterCount
  readonly throughput: Throughput
}

/** @throws as train() */
export async function execute(prepared: Prepared, emit: ProgressListener): Promise<TrainResult> {
  const { output, settings } = prepared
  const identity = identify(prepared)
  const claim = await claimOutput(output, settings.mode)
  try {
    const earlier = settings.mode === 'resume' ? await readProgress(output) : undefined
    if (earlier) refuseOther(output, earlier.identity, identity)
    if (earlier?.record?.status === 'complete') return await giveResult(output, earlier.record, emit)
    if (settings.mode === 'resume') tellResume(output, prepared, earlier, emit)
    return await new Execution(prepared, identity, claim, emit).run(earlier)
  } finally {
    await claim.release()
  }
}

/** The result of a run that is finished already. */
async function giveResult(output: string, record: RunRecord, emit: ProgressListener): Promise<TrainResult> {
  const { best, throughput } = readResult(output, record)
  await readAdapter(output, record)
  // A process killed between its last two acts has left the checkpoint.
  await rm(join(output, runFiles.checkpoint), { force: true })
  const message = `${output}: this run is finished; its result is given back, and nothing is trained`
  emit({ kind: 'warning', code: 'WARN_RESUME_COMPLETE', message })
  const { history, parameters } = record
  return { output, best, history, parameters, throughput }
}

function tellResume(output: string, { device }: Prepared, earlier: Earlier | undefined, emit: ProgressListener): void {
  if (earlier === undefined) {
    const message = `${output}: there is no run to go on with yet; training starts from the beginning`
    emit({ kind: 'warning', code: 'WARN_RESUME_NOTHING', message })
    return
  }
  const { record } = earlier
  const [was, is] = [
    [describeKernels(record?.device), record?.versions['onnx-adapters']],
    [describeKernels(device), currentVersions()['onnx-adapters']],
  ]
  if (record === undefined || was.join() === is.join()) return
  const message =
    `this run began with ${was.join(' kernels of version ')} and goes on with ${is.join(' kernels of version ')}: ` +
    'the result is as good, but not bit for bit that of a run without the break'
  emit({ kind: 'warning', code: 'WARN_RESUME_DEVICE', message })
}

/** `avx2`, `cuda:0`, `cuda:0 (tf32)` */
function describeKernels(device: RunRecord['device'] | undefined): string | undefined {
  const { isa, precision = 'float32' } = device ?? {}
  return precision === 'float32' ? isa : `${isa} (${precision})`
}

/** One process's part of a training. */
class Execution {
  private best: Parameters | undefined
  /** What the checkpoint on disk holds; `beginning` while there is none. */
  private kept: FitState = beginning
  private log!: MetricsLog
  private record!: RunRecord
  private readonly pace: CheckpointPace

  constructor(
    private readonly prepared: Prepared,
    private readonly identity: RunIdentity,
    private readonly claim: Claim,
    private readonly emit: ProgressListener,
  ) {
    this.pace = new CheckpointPace(prepared.settings.checkpointSteps)
  }

  async run(earlier: Earlier | undefined): Promise<TrainResult> {
    const { prepared, identity, emit } = this
    const { output, settings, train, validation, trainer, signal } = prepared
    const parameters = await countParameters(prepared)
    this.record = startRecord(prepared, identity, parameters, earlier)
    await writeRecord(output, this.record)
    await this.restore(earlier)
    const steps = countSteps(train.inputIds.length, settings.batchSize, settings.epochs)
    emit({
      kind: 'start',
      rows: train.inputIds.length,
      validationRows: validation?.inputIds.length ?? 0,
      epochs: settings.epochs,
      steps,
      step: this.kept.step,
      parameters,
    })
    try {
      const { history, best, throughput } = await fit({
        model: trainer,
        task: prepared.task,
        train,
        validation,
        epochs: settings.epochs,
        batchSize: settings.batchSize,
        schedule: makeSchedule({
          name: settings.schedule,
          rate: settings.learningRate,
          warmup: settings.warmup,
          total: steps,
        }),
        seed: settings.seed,
        metric: settings.metric ?? prepared.task.defaultMetric,
        earlyStopping: settings.earlyStopping,
        signal,
        start: this.kept,
        checkpoint: (state, best) => this.keep(state, best),
        isDue: (step) => this.pace.isDue(step),
        diverged: (state, untouched) => this.keepLastGood(state, untouched),
        emit: (event) => {
          this.log.add(event)
          emit(event)
        },
      })
      await this.log.commit()
      await this.claim.check()
      await finishRun(output, { ...this.record, status: 'complete', history, best, throughput }, this.bestTensors())
      return { output, best, history, parameters, throughput }
    } catch (error) {
      await this.tellStop(error)
      throw error
    }
  }

  /** Kept with the epoch that is the best, or read from the checkpoint that names it. */
  private bestTensors(): Parameters {
    if (this.best) return this.best
    const file = join(this.prepared.output, runFiles.checkpoint)
    throw new RunError('ERR_RUN_FILE', `${file}: lacks the tensors of the best epoch that it names`, { file })
  }

  /** Puts model, best tensors and log into the state of the checkpoint. */
  private async restore(earlier: Earlier | undefined): Promise<void> {
    const { output, trainer } = this.prepared
    const checkpoint = earlier?.checkpoint
    if (checkpoint) {
      await blameFile(join(output, runFiles.checkpoint), () => trainer.writeState(checkpoint.state))
      this.kept = checkpoint.position
      if (checkpoint.position.best) this.best = checkpoint.best
    }
    this.log = await MetricsLog.open(join(output, runFiles.metrics), checkpoint?.metricsBytes)
  }

  private async keep(position: FitState, isBest: boolean): Promise<void> {
    const { output, trainer } = this.prepared
    const started = performance.now()
    await this.claim.check()
    if (isBest) this.best = await trainer.tensors()
    // A step that ended the training may have been counted by the trainer, but not by the position.
    const state = { ...(await trainer.readState()), step: position.step }
    // The log first: the checkpoint says how much of it counts.
    const metricsBytes = await this.log.commit()
    const best = isBest ? undefined : this.best
    await writeCheckpoint(output, { state, position, identity: this.identity, metricsBytes, best })
    this.kept = position
    this.pace.written(started)
  }

  /**
   * What is on disk stays: it is from a time when all was well. Where nothing is yet, the state before the step that
   * failed is kept, if it is whole.
   */
  private async keepLastGood(state: FitState, untouched: boolean): Promise<void> {
    if (this.kept !== beginning || !untouched) return
    const tensors = await this.prepared.trainer.tensors()
    for (const { data } of tensors.values()) if (!data.every(Number.isFinite)) return
    await this.keep(state, false)
  }

  /** Says in run.json why the training ended; where even that cannot be written, the error itself must do. */
  private async tellStop(error: unknown): Promise<void> {
    const known = error instanceof OnnxAdaptersError ? error.code : undefined
    // The folder is another process's now.
    if (known === 'ERR_RUN_BUSY') return
    await this.log.commit().catch(() => {})
    const { signal, output } = this.prepared
    const { step, epoch, current, history, best } = this.kept
    const stopped: Stop = {
      step,
      epoch: current ? epoch + 1 : epoch,
      code: known,
      message: error instanceof Error ? error.message : String(error),
      at: new Date().toISOString(),
    }
    const status = signal?.aborted && error === signal.reason ? 'interrupted' : 'failed'
    await writeRecord(output, { ...this.record, status, history, best, stopped }).catch(() => {})
  }
}
