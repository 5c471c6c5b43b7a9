/**
 * The check of an imported encoder against ONNX Runtime on the same file. An importer that takes one activation for
 * another, or misses a scale, gives a model that trains well enough to go unnoticed: so every file is checked once.
 */

import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { philox } from '../adapters/philox.js'
import { OnnxImportError } from '../errors.js'
import { writeAtomic } from '../formats/atomic.js'
import { makeFolder } from '../formats/folder.js'
import { addonPath } from '../runtime/binding.js'
import { packageVersion } from '../version.js'
import { cacheFolder } from './cache.js'
import { referenceHidden, type ReferenceSubject } from './reference.js'
import type { ReferenceRow } from './verify_child.js'

export interface VerifySubject extends ReferenceSubject {
  /** Of the model and of its external data. */
  readonly sha256: string
  /** True where the file has float16 weights. */
  readonly half: boolean
  readonly vocabulary: number
  readonly positions: number
  /** Rows of the token type table that a caller may choose from; 0 or 1: all tokens are of type 0. */
  readonly tokenTypes: number
  /** Hidden states of our own encoder, f32[length · hidden] for each row. */
  readonly encode: (rows: { inputIds: number[][]; tokenTypeIds?: number[][] }) => Promise<Float32Array[]>
}

export interface Verification {
  /** Largest difference of a hidden value; absent where the check could not run. */
  readonly maxAbsDifference?: number
  /** Why it could not run, or why the difference is worth a word. */
  readonly warning?: string
}

/** Of max(1, largest |h|). A right import is under 3e-6 off; a tanh GELU in place of the erf one 7.6e-4 at least. */
const stopAbove = { float: 1e-4, half: 2e-2 }
const warnAbove = 2e-5

/**
 * @throws OnnxImportError ERR_ONNX_DIFFERS where the import computes something else
 */
export async function verifyAgainstRuntime(subject: VerifySubject): Promise<Verification> {
  const runtime = runtimeVersion()
  if (runtime === undefined) return { warning: notChecked(`onnxruntime-node is ${absentRuntime}`) }
  const cache = join(cacheFolder(), 'verified', `${await cacheKey(subject, runtime)}.json`)
  const cached = await readCached(cache)
  const difference = cached ?? (await measure(subject))
  if (typeof difference === 'string') return { warning: notChecked(difference) }
  const { maxAbsDifference, largest } = difference
  judge(subject, maxAbsDifference, largest)
  if (!cached) await remember(cache, difference)
  const scale = Math.max(1, largest)
  if (!subject.half && maxAbsDifference > warnAbove * scale) {
    return {
      maxAbsDifference,
      warning: `the imported encoder differs from ONNX Runtime by ${maxAbsDifference.toExponential(1)}, more than usual`,
    }
  }
  return { maxAbsDifference }
}

/** A cache that cannot be written costs time, nothing else. */
async function remember(cache: string, difference: Difference): Promise<void> {
  await makeFolder(dirname(cache))
    .then(() => writeAtomic(cache, JSON.stringify(difference)))
    .catch(() => undefined)
}

function notChecked(why: string): string {
  return `the imported encoder was not compared with ONNX Runtime: ${why}`
}

interface Difference {
  readonly maxAbsDifference: number
  /** Largest |h|. */
  readonly largest: number
}

function judge({ file, half }: VerifySubject, found: number, largest: number): void {
  const limit = (half ? stopAbove.half : stopAbove.float) * Math.max(1, largest)
  if (found <= limit) return
  throw new OnnxImportError(
    'ERR_ONNX_DIFFERS',
    `${file}: the imported encoder gives other values than ONNX Runtime: largest difference ${found.toExponential(2)}, allowed ${limit.toExponential(1)}. ` +
      'The importer has misread this file; please report it',
    { file, found, expected: limit },
  )
}

/** Compares on a few rows, one at a time. @returns a reason where the reference could not be had */
async function measure(subject: VerifySubject): Promise<Difference | string> {
  const answer = await referenceHidden(subject, makeRows(subject))
  if (answer.kind === 'absent') return `onnxruntime-node cannot be loaded: ${answer.reason}`
  if (answer.kind === 'failed') return answer.reason
  let maxAbsDifference = 0
  let largest = 0
  for (const [i, { ids, types }] of answer.rows.entries()) {
    const batch = { inputIds: [[...ids]], ...(subject.tokenTypes > 1 ? { tokenTypeIds: [[...types]] } : {}) }
    const [ours] = await subject.encode(batch)
    const theirs = answer.hidden[i]!
    if (ours!.length !== theirs.length) return `it gives ${theirs.length} values for a row, the import ${ours!.length}`
    for (let j = 0; j < theirs.length; j++) {
      const difference = Math.abs(ours![j]! - theirs[j]!)
      // A NaN on either side must not pass as a small difference.
      maxAbsDifference = difference >= 0 ? Math.max(maxAbsDifference, difference) : Infinity
      largest = Math.max(largest, Math.abs(theirs[j]!))
    }
  }
  return { maxAbsDifference, largest }
}

/** Rows of random ids, of lengths that meet every tail; the second half of a row is of the second type. */
function makeRows({ vocabulary, positions, tokenTypes, fixedShape }: VerifySubject): ReferenceRow[] {
  const wanted = fixedShape ? Array.from({ length: fixedShape[0] }, () => fixedShape[1]) : [2, 9, 31, 64]
  const lengths = wanted.map((length) => Math.min(length, positions))
  // Low ids hold the padding token, which files may treat apart, and which no unpadded row has.
  const lowest = Math.min(4, vocabulary - 1)
  return lengths.map((length, row) => ({
    ids: Array.from({ length }, (_, i) => lowest + (philox([i, row, 0, 0], [0, 0])[0] % (vocabulary - lowest))),
    types: Array.from({ length }, (_, i) => (tokenTypes > 1 && i >= length / 2 ? 1 : 0)),
  }))
}

async function cacheKey({ sha256, value }: VerifySubject, runtime: string): Promise<string> {
  const parts = [sha256, value, runtime, packageVersion(), ...(await ownFiles())]
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 32)
}

/** Sizes and times of this package's own compiled files: where it is being worked on, its version says little. */
async function ownFiles(): Promise<string[]> {
  const folder = fileURLToPath(new URL('..', import.meta.url))
  const names = await readdir(folder, { recursive: true })
  const files = [...names.filter((name) => name.endsWith('.js')).map((name) => join(folder, name)), addonPath()]
  return Promise.all(
    files.map(async (file) => {
      if (file === undefined) return ''
      const { size, mtimeMs } = await stat(file)
      return `${file} ${size} ${mtimeMs}`
    }),
  )
}

async function readCached(file: string): Promise<Difference | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const { maxAbsDifference, largest } = JSON.parse(text) as Partial<Difference>
    return typeof maxAbsDifference === 'number' && typeof largest === 'number'
      ? { maxAbsDifference, largest }
      : undefined
  } catch {
    return undefined
  }
}

/** What is said where onnxruntime-node is absent; its CUDA libraries, which it would download, are not needed. */
export const absentRuntime = 'not installed (ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node)'

/** Version of onnxruntime-node; undefined where it is not installed. */
export function runtimeVersion(): string | undefined {
  try {
    const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string }
    return version
  } catch {
    return undefined
  }
}
