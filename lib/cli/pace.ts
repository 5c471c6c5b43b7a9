import type { ProgressEvent } from '../train/progress.js'
import type { Moment } from './progress_line.js'

type StepEvent = Extract<ProgressEvent, { kind: 'step' }>

/** Steps whose speed counts as that of now. */
const recentSteps = 50

/** Follows the events of a training: where it is, how fast, and how long it will take. */
export class Pace {
  private readonly recent: StepEvent[] = []
  private moment: Moment = { epoch: 1, epochs: 1, step: 0, steps: 0 }
  /** Milliseconds of the last evaluation. */
  private evaluation = 0

  /** @returns where the training is, after events that move it */
  follow(event: ProgressEvent): Moment | undefined {
    switch (event.kind) {
      case 'start': {
        const { epochs, steps, step } = event
        return this.set({ epoch: Math.min(epochs, 1 + Math.floor((step * epochs) / steps)), epochs, steps, step })
      }
      case 'step': {
        this.recent.push(event)
        if (this.recent.length > recentSteps) this.recent.shift()
        const { epoch, step, loss } = event
        const { tokensPerSecond } = this
        return this.set({ epoch, step, loss, tokensPerSecond, secondsLeft: this.secondsLeft(event) })
      }
      case 'evaluating':
        return this.set({ epoch: event.epoch, evaluating: { done: event.done, rows: event.rows } })
      case 'evaluation':
        this.evaluation = event.milliseconds
        return this.set({})
      case 'checkpoint':
      case 'warning':
        return undefined
    }
  }

  private set(changes: Partial<Moment>): Moment {
    this.moment = { ...this.moment, evaluating: undefined, ...changes }
    return this.moment
  }

  private get milliseconds(): number {
    return this.recent.reduce((sum, step) => sum + step.milliseconds, 0)
  }

  private get tokensPerSecond(): number {
    const tokens = this.recent.reduce((sum, step) => sum + step.tokens, 0)
    return Math.round((1000 * tokens) / Math.max(1e-3, this.milliseconds))
  }

  /** Steps at the speed of now, and an evaluation for each epoch that has not ended. */
  private secondsLeft({ step, steps, epoch }: StepEvent): number {
    const evaluations = this.moment.epochs - epoch + 1
    const milliseconds = ((steps - step) * this.milliseconds) / this.recent.length + evaluations * this.evaluation
    return milliseconds / 1000
  }
}
