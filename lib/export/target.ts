/** What a place is that a run can be taken to: one file of this folder each, listed in index.ts. */

import type { Backbone } from '../backbone/backbone.js'
import type { RunFiles } from '../train/open_run.js'
import type { Warning } from '../train/progress.js'
import type { Tensor } from '../train/tensors.js'
import type { Engine } from './engine.js'

/** By public name. */
export type Tensors = ReadonlyMap<string, Tensor>

/** A finished run as its files have it, with the structure of its backbone. */
export interface ExportedRun extends RunFiles {
  /** Last part of its folder. */
  readonly name: string
  /** The structure alone, unless the caller had it in memory: nothing can be computed with it. */
  readonly backbone: Backbone
  /** All tensors of its own by public name: adapters, trained weights of the backbone, the head. */
  readonly tensors: Tensors
  /** What the run gives for rows, to compare with. */
  readonly forward: Engine
}

/** Where it goes, and how. */
export interface ExportPlace {
  /** A file or a folder, as the target's `form` says; checked: it may be written, and what is there replaced. */
  readonly output: string
  /** Files beside the output may be replaced too. */
  readonly overwrite: boolean
  /** False where the result shall not be compared with the engine. */
  readonly verify: boolean
  /** Of the graph inputs: a stack of tasks, of which each row picks one. */
  readonly mixed: boolean
}

/** What was written. */
export interface ExportReport {
  /** Paths of the files, the main one first. */
  readonly files: readonly string[]
  /** Largest difference of a result from what the engine gives; absent where that was not, or cannot be, compared. */
  readonly maxAbsDifference?: number
  readonly warnings: readonly Warning[]
}

export interface ExportTarget {
  /** As option `to` has it. */
  readonly name: string
  /** For people: what is written. */
  readonly description: string
  readonly form: 'file' | 'folder'
  /** True where several runs of one backbone go into one output. */
  readonly several: boolean
  /** True where a run without a head cannot go there. */
  readonly needsHead: boolean
  /** Writes files by lib/formats/atomic.ts. @param runs of one backbone; one alone unless the target takes `several` */
  write(runs: readonly ExportedRun[], place: ExportPlace): Promise<ExportReport>
}
