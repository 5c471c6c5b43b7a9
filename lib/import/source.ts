/** What a library is whose files can be brought in: one file of this folder each, listed in index.ts. */

import type { AdapterOptions } from '../adapters/houlsby.js'
import type { TrainablePart } from '../adapters/trainable.js'
import type { Backbone } from '../backbone/backbone.js'
import type { FloatTensor } from '../formats/safetensors.js'
import type { Pool } from '../heads/define.js'
import type { TaskKind } from '../kinds.js'
import type { Warning } from '../train/progress.js'

/** An adapter of another library, in our terms. */
export interface ForeignAdapter {
  readonly name: string
  /** The file that its tensors are from, for messages. */
  readonly file: string
  readonly adapter: Required<Pick<AdapterOptions, 'size' | 'activation' | 'layers'>> | false
  readonly trainable: readonly TrainablePart[]
  /** By the names of a run. What the model has and they lack stays as in the backbone. */
  readonly tensors: ReadonlyMap<string, FloatTensor>
  readonly head: ForeignHead
  readonly warnings: readonly Warning[]
}

export interface ForeignHead {
  readonly kind: TaskKind
  readonly outputs: number
  readonly pool: Pool
  readonly labels?: readonly string[] | undefined
}

export interface ImportSource {
  /** As option `from` has it. */
  readonly name: string
  /** For people: what is read. */
  readonly description: string
  /** @throws InteropError ERR_TORCH_FILE, ERR_INTEROP_*; RunError ERR_RUN_FILE for a safetensors file */
  read(path: string, backbone: Backbone): Promise<ForeignAdapter>
}
