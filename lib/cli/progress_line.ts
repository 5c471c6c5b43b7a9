/** One line that says how far a training is, as much of it as a terminal has room for. */

import { count } from './io.js'

export interface Moment {
  readonly epoch: number
  readonly epochs: number
  /** Steps done. */
  readonly step: number
  readonly steps: number
  /** Absent before the first step. */
  readonly loss?: number
  readonly tokensPerSecond?: number
  readonly secondsLeft?: number
  /** Rows while the epoch is evaluated. */
  readonly evaluating?: { readonly done: number; readonly rows: number }
}

export interface BarCharacters {
  readonly done: string
  readonly rest: string
}

const gap = '  '
const widestBar = 24
const narrowestBar = 6

/**
 * @param width of the terminal in columns; the last one stays free, where a cursor would wrap
 * @param bar absent for a line of a log, which has no bar and is not cut
 */
export function describeMoment(moment: Moment, width = Infinity, bar?: BarCharacters): string {
  const room = width - 1
  const parts = partsOf(moment)
  const chosen = new Set<Part>()
  for (const part of [...parts].sort((a, b) => a.rank - b.rank)) {
    chosen.add(part)
    if (lineOf(parts, chosen).length <= room) continue
    chosen.delete(part)
    break
  }
  const line = lineOf(parts, chosen)
  const left = Math.min(widestBar, room - line.length - gap.length)
  if (!bar || left < narrowestBar) return line.slice(0, Math.max(0, room))
  const full = Math.floor((left * moment.step) / Math.max(1, moment.steps))
  return `${bar.done.repeat(full)}${bar.rest.repeat(left - full)}${gap}${line}`
}

interface Part {
  readonly text: string
  /** What is most wanted comes first where room is short. */
  readonly rank: number
}

/** In the order of the line. */
function partsOf({ epoch, epochs, step, steps, loss, tokensPerSecond, secondsLeft, evaluating }: Moment): Part[] {
  const percent = Math.floor((100 * step) / Math.max(1, steps))
  const parts: (Part | undefined)[] = [
    { text: `${percent}%`, rank: 0 },
    { text: `epoch ${epoch}/${epochs}`, rank: 5 },
    evaluating
      ? { text: `evaluating ${count(evaluating.done)}/${count(evaluating.rows)} rows`, rank: 1 }
      : { text: `step ${count(step)}/${count(steps)}`, rank: 3 },
    loss === undefined ? undefined : { text: `loss ${loss.toFixed(4)}`, rank: 2 },
    tokensPerSecond === undefined ? undefined : { text: `${count(tokensPerSecond)} tokens/s`, rank: 4 },
    secondsLeft === undefined ? undefined : { text: `${clock(secondsLeft)} left`, rank: 1 },
  ]
  return parts.filter((part) => part !== undefined)
}

function lineOf(parts: readonly Part[], chosen: ReadonlySet<Part>): string {
  return parts
    .filter((part) => chosen.has(part))
    .map(({ text }) => text)
    .join(gap)
}

/** `0:07`, `12:05`, `3:00:00`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}
