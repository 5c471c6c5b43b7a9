import { SingleBar } from 'cli-progress'
import type { ProgressEvent, ProgressListener } from '../train/progress.js'
import { count, log } from './io.js'
import { Pace } from './pace.js'
import { describeMoment, type BarCharacters, type Moment } from './progress_line.js'

/** Shows a training. */
export interface ProgressView {
  readonly listener: ProgressListener
  /** A line between others. */
  readonly say: (text: string) => void
  /** Leaves the terminal as it was; may be called again. */
  readonly stop: () => void
}

/** Between two lines of a log in the first minute, and after it, in milliseconds. */
const linePauses = [10_000, 60_000] as const

/** Shows a training on standard error: a bar on a terminal, a line now and then elsewhere and in CI. */
export function showProgress(quiet: boolean): ProgressView {
  if (quiet) return { listener: () => {}, say: () => {}, stop: () => {} }
  return isTerminal(process.stderr) ? showBar(process.stderr) : showLines()
}

/** Whether a bar can be drawn on the stream, and somebody is there to see it move. */
export function isTerminal({ isTTY }: NodeJS.WriteStream, { CI, TERM } = process.env): boolean {
  return isTTY && TERM !== 'dumb' && (CI === undefined || CI === '' || CI === 'false')
}

function showBar(stream: NodeJS.WriteStream): ProgressView {
  const characters = barCharacters(process.env)
  const pace = new Pace()
  let moment: Moment | undefined
  const bar = new SingleBar({
    stream,
    // Lines are cut here, by the width of now; switching the terminal's own wrapping would outlive a killed process.
    linewrap: true,
    format: () => (moment ? describeMoment(moment, stream.columns || 80, characters) : ''),
    clearOnComplete: true,
  })
  const frame = (next: Moment) => {
    moment = next
    bar.update(next.step)
  }
  // A narrower terminal has wrapped the old frame: what is below the cursor's line goes.
  const onResize = () => bar.isActive && stream.write('\r\x1b[J')
  stream.on('resize', onResize)
  /** The bar stands below the lines, so it is taken down meanwhile. */
  const say = (text: string) => {
    const { isActive } = bar
    if (isActive) bar.stop()
    log(text)
    if (isActive) bar.start(moment!.steps, moment!.step)
  }
  const listener = (event: ProgressEvent) => {
    const next = pace.follow(event)
    const line = describeEvent(event)
    if (line !== undefined) say(line)
    if (event.kind === 'start') {
      moment = next
      bar.start(event.steps, event.step)
    } else if (next) frame(next)
  }
  const stop = () => {
    stream.removeListener('resize', onResize)
    bar.stop()
  }
  return { listener, say, stop }
}

function showLines(): ProgressView {
  const pace = new Pace()
  const started = performance.now()
  let last = started
  const listener = (event: ProgressEvent) => {
    const moment = pace.follow(event)
    const line = describeEvent(event)
    if (line !== undefined) log(line)
    const now = performance.now()
    if (!moment || now - last < linePauses[now - started < 60_000 ? 0 : 1]) return
    last = now
    log(describeMoment(moment))
  }
  return { listener, say: log, stop: () => {} }
}

/** Block characters, unless the locale says that the terminal has none. */
export function barCharacters({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): BarCharacters {
  const locale = LC_ALL || LC_CTYPE || LANG || 'UTF-8'
  return /utf-?8/i.test(locale) ? { done: '█', rest: '░' } : { done: '#', rest: '-' }
}

/** What is worth a line of its own. */
function describeEvent(event: ProgressEvent): string | undefined {
  switch (event.kind) {
    case 'start':
      return describeStart(event)
    case 'evaluation':
      return describeEvaluation(event)
    case 'warning':
      return `warning: ${event.message}`
    case 'step':
    case 'evaluating':
    case 'checkpoint':
      return undefined
  }
}

function describeStart({
  rows,
  validationRows,
  epochs,
  steps,
  step,
  parameters,
}: Extract<ProgressEvent, { kind: 'start' }>): string {
  const { trained, share } = parameters
  const held = validationRows > 0 ? `, validating on ${count(validationRows)}` : ''
  const resumed = step > 0 ? `, going on after step ${count(step)}` : ''
  return (
    `training ${count(trained)} parameters (${(100 * share).toFixed(2)} % of the model) ` +
    `on ${count(rows)} rows${held}: ${epochs} epochs, ${count(steps)} steps${resumed}`
  )
}

function describeEvaluation({
  epoch,
  rows,
  loss,
  metrics,
  best,
}: Extract<ProgressEvent, { kind: 'evaluation' }>): string {
  const values = Object.entries(metrics).map(([name, value]) => `${name} ${value.toFixed(4)}`)
  const last = `loss ${loss.toFixed(4)}  (${count(rows)} rows${best ? ', best so far' : ''})`
  return `epoch ${epoch}: ${[...values, last].join('  ')}`
}
