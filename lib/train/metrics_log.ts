import { open, truncate } from 'node:fs/promises'
import { writeError } from '../formats/atomic.js'
import type { ProgressEvent } from './progress.js'

/** Lines that may wait before they are written. */
const linesAtOnce = 64

/**
 * The file metrics.jsonl: one JSON object a line for each step and each evaluation. A checkpoint notes how long the
 * file was; a training that goes on from there cuts it to that length, so no step has two lines.
 */
export class MetricsLog {
  private waiting: string[] = []
  private written: Promise<void> = Promise.resolve()

  private constructor(
    private readonly file: string,
    private bytes: number,
  ) {}

  /**
   * @param bytes what to keep of the file that is there
   * @throws RunError ERR_RUN_WRITE
   */
  static async open(file: string, bytes = 0): Promise<MetricsLog> {
    try {
      const handle = await open(file, 'a')
      // Bytes that are gone, whoever took them, are not made up for by zeros.
      const { size } = await handle.stat().finally(() => handle.close())
      const kept = Math.min(size, bytes)
      await truncate(file, kept)
      return new MetricsLog(file, kept)
    } catch (cause) {
      throw writeError(file, cause)
    }
  }

  add(event: ProgressEvent): void {
    if (event.kind !== 'step' && event.kind !== 'evaluation') return
    this.waiting.push(`${JSON.stringify(event)}\n`)
    if (this.waiting.length >= linesAtOnce || event.kind === 'evaluation') void this.append(false)
  }

  /**
   * Writes what waits and syncs it; rejects where an earlier write failed too.
   * @returns bytes of the file
   * @throws RunError ERR_RUN_WRITE; the file then ends with a whole line
   */
  async commit(): Promise<number> {
    await this.append(true)
    return this.bytes
  }

  private append(sync: boolean): Promise<void> {
    const text = this.waiting.join('')
    this.waiting = []
    this.written = this.written.then(() => this.write(text, sync))
    // Looked at by whoever awaits the last commit.
    this.written.catch(() => {})
    return this.written
  }

  private async write(text: string, sync: boolean): Promise<void> {
    try {
      const handle = await open(this.file, 'a')
      try {
        await handle.writeFile(text)
        if (sync) await handle.sync()
      } finally {
        await handle.close()
      }
      this.bytes += Buffer.byteLength(text)
    } catch (cause) {
      // A full disk may have taken half a line.
      await truncate(this.file, this.bytes).catch(() => {})
      throw writeError(this.file, cause)
    }
  }
}
