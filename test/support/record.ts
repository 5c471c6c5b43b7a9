/**
 * Writes cases as replay files (native/README.md) for `oa_replay`, which runs them without Node: under sanitizers,
 * emulators and profilers. Set ONNX_ADAPTERS_RECORD to a folder.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Value } from '../../lib/ir/graph.js'
import type { WeightEntry } from '../../lib/runtime/native-types.js'
import { relativeFloor } from './budget.js'
import type { BuiltCase } from './cases.js'
import { batchOf, compileCase } from './device.js'
import type { Compiled } from './device.js'
import type { Scalars, Tensor } from './reference/types.js'

const magic = 0x4352414f
const version = 1
const parameterSlot = 2
const gradientSlot = 3
const outputTarget = 2

/** What the results should be and how far off they may be. */
export interface Expected {
  readonly scalars: Scalars
  readonly want: ReadonlyMap<Value, Tensor>
  readonly plain: ReadonlyMap<Value, Tensor>
  readonly factor: number
  readonly absoluteFloor: number
}

class Words {
  readonly #chunks: Buffer[] = []

  u32(...values: readonly number[]): void {
    for (const value of values) {
      const chunk = Buffer.alloc(4)
      chunk.writeUInt32LE(value >>> 0)
      this.#chunks.push(chunk)
    }
  }

  f32(value: number): void {
    const chunk = Buffer.alloc(4)
    chunk.writeFloatLE(value)
    this.#chunks.push(chunk)
  }

  /** Padded with zeros to whole words. */
  raw(bytes: Uint8Array): void {
    this.#chunks.push(Buffer.from(bytes), Buffer.alloc((4 - (bytes.length % 4)) % 4))
  }

  string(text: string): void {
    const bytes = Buffer.from(text, 'utf8')
    this.u32(bytes.length)
    this.raw(bytes)
  }

  array(values: Float32Array | Int32Array): void {
    this.u32(values.length)
    this.raw(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

/** Does nothing unless ONNX_ADAPTERS_RECORD is set. */
export function recordCase(name: string, built: BuiltCase, outputs: readonly Value[], expected: Expected): void {
  const folder = process.env['ONNX_ADAPTERS_RECORD']
  if (!folder) return
  const compiled = compileCase(built, outputs, expected.scalars, 0)
  const words = new Words()
  words.u32(magic, version, 1)
  words.string(name)
  writeCompiled(words, compiled)
  words.u32(outputs.length)
  outputs.forEach((value, i) => writeStep(words, built, `output${i}`, value, expected))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${name.replace(/[^\w.+-]+/g, '_')}.oarc`), words.bytes())
}

function writeCompiled(words: Words, compiled: Compiled): void {
  words.u32(compiled.program.length)
  words.raw(compiled.program)
  words.u32(compiled.weights.length)
  for (const weight of compiled.weights) writeWeight(words, weight)
  words.u32(2, parameterSlot)
  words.array(compiled.parameters)
  words.u32(gradientSlot)
  words.array(compiled.gradients)
}

function writeWeight(words: Words, { key, form, rows, columns, parts }: WeightEntry): void {
  words.string(key)
  words.u32(form, rows, columns, parts.length)
  for (const part of parts) {
    words.u32(part.data instanceof Uint16Array ? 1 : 0, part.rows, part.transposed ? 1 : 0, part.data.length)
    words.raw(new Uint8Array(part.data.buffer, part.data.byteOffset, part.data.byteLength))
  }
}

function writeStep(words: Words, built: BuiltCase, entry: string, value: Value, expected: Expected): void {
  const { scalars } = expected
  const batch = batchOf(built, scalars)
  words.string(entry)
  words.f32(scalars.learningRate)
  words.u32(scalars.step)
  words.array(batch.ids)
  words.array(batch.types ?? new Int32Array())
  words.array(batch.cu)
  words.u32(batch.labels ? (batch.labels instanceof Int32Array ? 1 : 2) : 0)
  words.array(batch.labels ?? new Int32Array())
  words.u32(1, outputTarget, 0)
  const want = expected.want.get(value)!.data
  words.f32(tolerance(want, expected.plain.get(value)!.data, expected))
  words.f32(0)
  words.array(Float32Array.from(want))
}

/** The same budget as budget.ts gives, as one absolute number. */
function tolerance(want: ArrayLike<number>, plain: ArrayLike<number>, { factor, absoluteFloor }: Expected): number {
  let top = 0
  let error = 0
  for (let i = 0; i < want.length; i++) {
    top = Math.max(top, Math.abs(want[i]!))
    error = Math.max(error, Math.abs(plain[i]! - want[i]!))
  }
  return factor * error + relativeFloor * top + absoluteFloor
}
