/** What a folder of the cache says of itself: `backbone.json`. */

import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { writeAtomic } from '../formats/atomic.js'
import { hashFiles, hashModel } from './hash.js'
import { findInFolder } from './resolve.js'

/** A backbone that is here. */
export interface FetchedBackbone {
  /** What it is called in the cache and in `run.json`. */
  readonly name: string
  readonly folder: string
  /** Where it came from: `hub:owner/name@commit`, `pypi:package@version`, or `folder` for what somebody put there. */
  readonly source: string
  /** Of all files of the backbone. */
  readonly bytes: number
  /** Of the model and of its external data, as in `run.json`, in hexadecimal. */
  readonly sha256: string
  /** True where it was here before. */
  readonly cached: boolean
}

/** The files of a backbone that came, and from where. */
export interface Arrival {
  readonly name: string
  readonly source: string
  /** True where the model was made here, of the published weights. */
  readonly converted: boolean
  /** Paths in its folder. */
  readonly files: readonly string[]
}

interface Origin extends Omit<Arrival, 'files'> {
  readonly format: 1
  /** Of the model and of its external data. */
  readonly sha256: string
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>
}

const originFile = 'backbone.json'

/** Says in the folder where its files came from, and removes what is not of the backbone: left by an earlier try. */
export async function writeOrigin(folder: string, { files: own, ...arrival }: Arrival): Promise<void> {
  const files: Record<string, { bytes: number; sha256: string }> = {}
  for (const path of await listFiles(folder)) {
    const file = join(folder, path)
    if (own.includes(path)) files[path] = { bytes: (await stat(file)).size, sha256: await hashFiles([file]) }
    else await rm(file, { force: true })
  }
  const sha256 = await hashModel((await findInFolder(folder))!)
  const origin: Origin = { format: 1, ...arrival, sha256, files }
  await writeAtomic(join(folder, originFile), `${JSON.stringify(origin, null, 2)}\n`)
}

/** What is known of a folder with a backbone. */
export async function describeFolder(name: string, folder: string, cached: boolean): Promise<FetchedBackbone> {
  const origin = await readOrigin(folder)
  if (origin) {
    const bytes = Object.values(origin.files).reduce((sum, file) => sum + file.bytes, 0)
    return { name, folder, source: origin.source, bytes, sha256: origin.sha256, cached }
  }
  const sizes = await Promise.all((await listFiles(folder)).map(async (path) => (await stat(join(folder, path))).size))
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  return { name, folder, source: 'folder', bytes, sha256: await hashModel((await findInFolder(folder))!), cached }
}

async function readOrigin(folder: string): Promise<Origin | undefined> {
  const text = await readFile(join(folder, originFile), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const origin = JSON.parse(text) as Partial<Origin> | null
    return origin?.format === 1 && origin.files && origin.sha256 ? (origin as Origin) : undefined
  } catch {
    return undefined
  }
}

/** Paths from the folder, with slashes. */
async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort()
}
