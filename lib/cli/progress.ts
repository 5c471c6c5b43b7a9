import { SingleBar } from 'cli-progress'
import type { ProgressEvent, ProgressListener } from '../train/progress.js'
import { count, log } from './io.js'

/** Between two lines where standard error is not a terminal, in milliseconds. */
const lineEvery = 10_000

/** Shows a training on standard error: a bar on a terminal, a line now and then elsewhere. */
export function showProgress(quiet: boolean): { listener: ProgressListener; stop: () => void } {
  if (quiet) return { listener: () => {}, stop: () => {} }
  return process.stderr.isTTY ? showBar() : showLines()
}

function showBar() {
  const format = '{bar} {percentage}%  epoch {epoch}  step {value}/{total}  loss {loss}  {rate} tokens/s  {left} left'
  const bar = new SingleBar({
    format,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    barsize: 24,
    barCompleteChar: '█',
    barIncompleteChar: '░',
  })
  const rate = new Rate()
  let active = false
  /** Lines between two frames of the bar. */
  const say = (text: string) => {
    if (active) process.stderr.write('\r\x1b[K')
    log(text)
  }
  const listener = (event: ProgressEvent) => {
    switch (event.kind) {
      case 'start':
        log(describeStart(event))
        bar.start(event.steps, 0, { epoch: 1, loss: '-', rate: '-', left: '-' })
        active = true
        break
      case 'step':
        rate.add(event)
        bar.update(event.step, {
          epoch: event.epoch,
          loss: event.loss.toFixed(4),
          rate: count(rate.tokensPerSecond),
          left: rate.left(event),
        })
        break
      case 'evaluation':
        say(describeEvaluation(event))
        break
      case 'warning':
        say(`warning: ${event.message}`)
        break
      case 'checkpoint':
        break
    }
  }
  return { listener, stop: () => bar.stop() }
}

function showLines() {
  const rate = new Rate()
  let last = performance.now()
  const listener = (event: ProgressEvent) => {
    switch (event.kind) {
      case 'start':
        log(describeStart(event))
        break
      case 'step':
        rate.add(event)
        if (performance.now() - last < lineEvery) break
        last = performance.now()
        log(
          `epoch ${event.epoch}  step ${event.step}/${event.steps}  loss ${event.loss.toFixed(4)}  ${count(rate.tokensPerSecond)} tokens/s  ${rate.left(event)} left`,
        )
        break
      case 'evaluation':
        log(describeEvaluation(event))
        break
      case 'warning':
        log(`warning: ${event.message}`)
        break
      case 'checkpoint':
        break
    }
  }
  return { listener, stop: () => {} }
}

type StepEvent = Extract<ProgressEvent, { kind: 'step' }>

/** Speed over the last steps. */
class Rate {
  private recent: StepEvent[] = []

  add(event: StepEvent): void {
    this.recent.push(event)
    if (this.recent.length > 50) this.recent.shift()
  }

  get tokensPerSecond(): number {
    const tokens = this.recent.reduce((sum, step) => sum + step.tokens, 0)
    return Math.round((1000 * tokens) / Math.max(1e-3, this.milliseconds))
  }

  left({ step, steps }: StepEvent): string {
    const seconds = Math.round(((steps - step) * this.milliseconds) / this.recent.length / 1000)
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
    if (hours > 0) return `${hours} h ${minutes} min`
    return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`
  }

  private get milliseconds(): number {
    return this.recent.reduce((sum, step) => sum + step.milliseconds, 0)
  }
}

function describeStart({
  rows,
  validationRows,
  epochs,
  steps,
  parameters,
}: Extract<ProgressEvent, { kind: 'start' }>): string {
  const { trained, share } = parameters
  const held = validationRows > 0 ? `, validating on ${count(validationRows)}` : ''
  return `training ${count(trained)} parameters (${(100 * share).toFixed(2)} % of the model) on ${count(rows)} rows${held}: ${epochs} epochs, ${count(steps)} steps`
}

function describeEvaluation({ epoch, loss, metrics, best }: Extract<ProgressEvent, { kind: 'evaluation' }>): string {
  const values = Object.entries(metrics).map(([name, value]) => `${name} ${value.toFixed(4)}`)
  return `epoch ${epoch}: ${values.join('  ')}  loss ${loss.toFixed(4)}${best ? '  (best)' : ''}`
}
