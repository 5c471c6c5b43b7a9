import { appendFile } from 'node:fs/promises'
import type { ProgressEvent } from './progress.js'

/** Lines that may wait before they are written. */
const linesAtOnce = 64

/** The file metrics.jsonl: one JSON object a line for each step and each evaluation. */
export class MetricsLog {
  private waiting: string[] = []
  private written: Promise<void> = Promise.resolve()

  constructor(private readonly file: string) {}

  add(event: ProgressEvent): void {
    if (event.kind !== 'step' && event.kind !== 'evaluation') return
    this.waiting.push(`${JSON.stringify(event)}\n`)
    if (this.waiting.length >= linesAtOnce || event.kind === 'evaluation') void this.flush()
  }

  /** Writes what waits; rejects where an earlier write failed too. */
  flush(): Promise<void> {
    const text = this.waiting.join('')
    this.waiting = []
    this.written = this.written.then(() => (text === '' ? undefined : appendFile(this.file, text)))
    // Looked at by whoever awaits the last flush.
    this.written.catch(() => {})
    return this.written
  }
}
