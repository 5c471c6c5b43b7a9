import { joinRows, sliceRows, type PackedRows } from '../data/pack.js'
import type { EncodedRows } from '../data/dataset.js'
import { packRows } from '../train/batch.js'
import { groupBy } from './group_by.js'
import type { SharedModel } from './shared_model.js'

/** A task that is resident. */
export interface ResidentTask {
  readonly model: SharedModel
  /** Its number there. */
  readonly number: number
}

/** Rows that somebody waits for. */
interface Job {
  readonly task: ResidentTask
  readonly rows: PackedRows
  readonly outputs: Float32Array[]
  /** Rows that are in a batch already. */
  taken: number
  readonly resolve: (outputs: Float32Array[]) => void
  readonly reject: (error: unknown) => void
}

/** Part of a job, for one batch. */
interface Share {
  readonly job: Job
  readonly begin: number
  readonly end: number
}

/**
 * Makes batches of what waits, whoever asked for it and for whichever task: one batch runs at a time, and what comes
 * meanwhile makes the next. So many small calls cost little more than one large one.
 */
export class Batcher {
  readonly #budget: number
  readonly #waiting: Job[] = []
  #running = false

  /** @param budget tokens of a batch; a longer row is a batch by itself */
  constructor(budget: number) {
    this.#budget = budget
  }

  /**
   * Logits of rows of one task, one array each.
   * @throws {DataError} ERR_DATA_* at once, for a row that the model cannot take; {DeviceError}
   */
  async forward(task: ResidentTask, rows: Pick<EncodedRows, 'inputIds' | 'tokenTypeIds'>): Promise<Float32Array[]> {
    const { inputIds, tokenTypeIds } = rows
    if (inputIds.length === 0) return []
    const packed = packRows({ inputIds, tokenTypeIds }, task.model.limits)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, rows: packed, outputs: [], taken: 0, resolve, reject })
      void this.#run()
    })
  }

  async #run(): Promise<void> {
    if (this.#running) return
    this.#running = true
    await Promise.resolve() // calls of the same moment come along
    while (this.#waiting.length > 0) await this.#runBatch(this.#take())
    this.#running = false
  }

  /** Rows of the model that has waited longest, in the order of their calls, up to the budget. */
  #take(): Share[] {
    const [{ task: first }] = this.#waiting as [Job]
    const shares: Share[] = []
    let room = this.#budget
    for (const job of this.#waiting) {
      if (first.model.mixes ? job.task.model !== first.model : job.task !== first) continue
      const begin = job.taken
      const { cu } = job.rows
      while (job.taken < cu.length - 1) {
        const length = cu[job.taken + 1]! - cu[job.taken]!
        if (length > room && room < this.#budget) break
        room -= length
        job.taken += 1
      }
      if (job.taken > begin) shares.push({ job, begin, end: job.taken })
      if (job.taken < cu.length - 1) break
    }
    return shares
  }

  async #runBatch(shares: readonly Share[]): Promise<void> {
    const { model } = shares[0]!.job.task
    const byTask = groupBy(shares, ({ job }) => job.task)
    try {
      const groups = [...byTask].map(([task, parts]) => ({
        task: task.number,
        rows: joinRows(parts.map(({ job, begin, end }) => sliceRows(job.rows, begin, end))),
      }))
      const outputs = await model.forward(groups)
      for (const [g, parts] of [...byTask.values()].entries()) {
        let row = 0
        for (const { job, begin, end } of parts) job.outputs.push(...outputs[g]!.slice(row, (row += end - begin)))
      }
      this.#settle((job) => {
        if (job.outputs.length === job.rows.cu.length - 1) return () => job.resolve(job.outputs)
      })
    } catch (error) {
      const failed = new Set(shares.map(({ job }) => job))
      this.#settle((job) => (failed.has(job) ? () => job.reject(error) : undefined))
    }
  }

  /** Takes the jobs out for which `finish` gives what is to be done with them. */
  #settle(finish: (job: Job) => (() => void) | undefined): void {
    const jobs = this.#waiting.splice(0)
    for (const job of jobs) {
      const done = finish(job)
      if (done) done()
      else this.#waiting.push(job)
    }
  }
}
