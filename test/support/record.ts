/**
 * Writes op cases and whole training steps as replay files (native/README.md) for `oa_replay`, which runs them without
 * Node: under sanitizers, emulators and profilers. Set ONNX_ADAPTERS_RECORD to a folder.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Value } from '../../lib/ir/graph.js'
import type { NativeBatch, Slot, WeightEntry } from '../../lib/runtime/native-types.js'
import { narrowEntries } from '../../lib/plan/narrow.js'
import { largest, maxDifference, relativeFloor } from './budget.js'
import type { BuiltCase } from './cases.js'
import { batchOf, caseCapacity, caseEntries, caseLayout, compileCase, compileEntries } from './device.js'
import type { Compiled } from './device.js'
import { runStored, storesNarrow } from './narrow.js'
import type { Scalars, Tensor } from './reference/types.js'

const magic = 0x4352414f
const version = 1
const slots: Readonly<Record<Slot, number>> = { parameters: 2, gradients: 3, moment1: 4, moment2: 5 }

/** What the results of an op should be and how far off they may be. */
export interface Expected {
  readonly scalars: Scalars
  readonly want: ReadonlyMap<Value, Tensor>
  readonly plain: ReadonlyMap<Value, Tensor>
  readonly factor: number
  readonly absoluteFloor: number
}

export interface RecordedCheck {
  readonly target: 'loss' | 'norm' | 'output' | Slot
  readonly expected: Float32Array
  /** Largest difference of an element. */
  readonly tolerance: number
}

export interface RecordedStep {
  readonly entry: string
  readonly batch: NativeBatch
  readonly checks: readonly RecordedCheck[]
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

/** Room beyond the batch: a device that rounds shapes up does so, and its ops meet rows of no sequence. */
const recordedSpare = 100

/** An op case: each of its results has a step of its own. */
export function recordCase(name: string, built: BuiltCase, outputs: readonly Value[], expected: Expected): void {
  const { scalars, want, plain } = expected
  const steps = outputs.map((value, i): RecordedStep => {
    const data = want.get(value)!.data
    const tolerance = allowed(data, plain.get(value)!.data, expected)
    const check = { target: 'output', expected: Float32Array.from(data), tolerance } as const
    return { entry: `output${i}`, batch: batchOf(built, scalars), checks: [check] }
  })
  recordSteps(name, compileCase(built, outputs, scalars, recordedSpare), steps)
}

/**
 * The same case with its large values in bf16, as a GPU stores them. What that alone must cost, a plain loop in f64 shows
 * that rounds only what is stored (`runStored`): its largest error takes the place of the plain f32 loop's in the
 * budget. Kernels may round a few times between, hence the same factor, and a floor of `narrowFloor` units.
 */
export function recordNarrowCase(name: string, built: BuiltCase, outputs: readonly Value[], expected: Expected): void {
  if (!process.env['ONNX_ADAPTERS_RECORD']) return
  const { scalars, want } = expected
  const entries = narrowEntries(caseEntries(built, outputs), caseLayout(built.contents))
  if (!entries.some(storesNarrow)) return
  const compiled = compileEntries(entries, built.contents, caseCapacity(built, recordedSpare), scalars)
  const steps = entries.map((entry, i): RecordedStep => {
    const data = want.get(outputs[i]!)!.data
    const stored = runStored(built, entry, scalars).get(entry.output!)!.data
    const tolerance =
      expected.factor * maxDifference(stored, data) + narrowFloor * largest(data) + expected.absoluteFloor
    const check = { target: 'output', expected: Float32Array.from(data), tolerance } as const
    return { entry: entry.name, batch: batchOf(built, scalars), checks: [check] }
  })
  recordSteps(`${name}, bf16`, compiled, steps)
}

/** Two units in the last place of bf16, of the largest value. */
const narrowFloor = 2 * 2 ** -8

/** Does nothing unless ONNX_ADAPTERS_RECORD is set. */
export function recordSteps(name: string, compiled: Omit<Compiled, 'layout'>, steps: readonly RecordedStep[]): void {
  const folder = process.env['ONNX_ADAPTERS_RECORD']
  if (!folder) return
  const words = new Words()
  words.u32(magic, version, 1)
  words.string(name)
  writeCompiled(words, compiled)
  words.u32(steps.length)
  for (const step of steps) writeStep(words, step)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${name.replace(/[^\w.+-]+/g, '_')}.oarc`), words.bytes())
}

function writeCompiled(words: Words, compiled: Omit<Compiled, 'layout'>): void {
  words.u32(compiled.program.length)
  words.raw(compiled.program)
  words.u32(compiled.weights.length)
  for (const weight of compiled.weights) writeWeight(words, weight)
  const presets = { parameters: compiled.parameters, ...(compiled.gradients && { gradients: compiled.gradients }) }
  words.u32(Object.keys(presets).length)
  for (const [slot, data] of Object.entries(presets)) {
    words.u32(slots[slot as Slot])
    words.array(data)
  }
}

function writeWeight(words: Words, { key, form, dtype = 0, rows, columns, parts }: WeightEntry): void {
  words.string(key)
  words.u32(form | (dtype << 8), rows, columns, parts.length)
  for (const part of parts) {
    words.u32(part.data instanceof Uint16Array ? 1 : 0, part.rows, part.transposed ? 1 : 0, part.data.length)
    words.raw(new Uint8Array(part.data.buffer, part.data.byteOffset, part.data.byteLength))
  }
}

function writeStep(words: Words, { entry, batch, checks }: RecordedStep): void {
  words.string(entry)
  words.f32(batch.learningRate ?? 0)
  words.u32(batch.step ?? 0)
  words.array(batch.ids)
  words.array(batch.types ?? new Int32Array())
  words.array(batch.cu)
  words.u32(batch.labels ? (batch.labels instanceof Int32Array ? 1 : 2) : 0)
  words.array(batch.labels ?? new Int32Array())
  words.u32(checks.length)
  for (const { target, expected, tolerance } of checks) {
    const scalars = { loss: 0, norm: 1, output: 2 }
    if (target in scalars) words.u32(scalars[target as keyof typeof scalars], 0)
    else words.u32(3, slots[target as Slot])
    words.f32(tolerance)
    words.f32(0)
    words.array(expected)
  }
}

/** The same budget as budget.ts gives, as one absolute number. */
function allowed(want: ArrayLike<number>, plain: ArrayLike<number>, { factor, absoluteFloor }: Expected): number {
  let top = 0
  let error = 0
  for (let i = 0; i < want.length; i++) {
    top = Math.max(top, Math.abs(want[i]!))
    error = Math.max(error, Math.abs(plain[i]! - want[i]!))
  }
  return factor * error + relativeFloor * top + absoluteFloor
}
