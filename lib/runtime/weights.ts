import { DeviceError } from '../errors.js'
import { compareOpTables } from '../ops/index.js'
import { dtypeNumbers, formNumbers } from '../plan/encode.js'
import type { WeightUse } from '../plan/plan.js'
import { addon } from './binding.js'
import type { NativeWeights, WeightEntry } from './native-types.js'

let compared = false

/**
 * Frozen weights of one backbone on one device (an instruction set of the CPU, or a GPU), laid out natively once and shared by all sessions on it.
 * Only what some session reads is ever loaded, and each form of it once.
 */
export class WeightPool {
  /** `target` of a `ResolvedDevice`. */
  readonly device: string
  readonly native: NativeWeights
  /** Loads one after the other, so that no two sessions load the same key. */
  #last: Promise<unknown> = Promise.resolve()

  /** @throws {DeviceError} ERR_ADDON, also where the addon holds other ops than this package */
  constructor(device: string) {
    const { describe, Weights } = addon()
    if (!compared) compareOpTables(describe().ops)
    compared = true
    this.device = device
    this.native = new Weights({ device })
  }

  /** Whether sessions on these weights store their large values in bf16. */
  get isNarrow(): boolean {
    return this.device.endsWith('/bfloat16')
  }

  /** Loads what is not there yet. @throws {DeviceError} ERR_WEIGHTS, ERR_MEMORY */
  ensure(uses: readonly WeightUse[]): Promise<void> {
    const load = async () => {
      const missing = uses.filter(({ key }) => !this.native.has(key))
      if (missing.length > 0) await this.native.load(missing.map(weightEntry))
    }
    const result = this.#last.then(load, load)
    this.#last = result.catch(() => undefined)
    return result
  }
}

/** A frozen weight as the addon loads it. @throws {DeviceError} ERR_WEIGHTS where it has no content */
export function weightEntry({ key, value, form }: WeightUse): WeightEntry {
  if (!value.parts) throw new DeviceError('ERR_WEIGHTS', `frozen "${value.name}" has no content`, { value: value.name })
  const [rows = 1, columns = 1] = value.shape.map(Number)
  const parts = value.parts.map(({ data, shape, transposed }) => ({ data, rows: shape[0] ?? 1, transposed }))
  return { key, form: formNumbers[form], dtype: dtypeNumbers[value.dtype], rows, columns, parts }
}
