/** Backbones on the Hugging Face hub, or on a mirror that speaks as it does. */

import type * as Hub from '@huggingface/hub'
import { readFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { BackboneError } from '../errors.js'
import { makeFolder } from '../formats/folder.js'
import { readLocations } from '../onnx/read.js'
import { parseIndex, supportedFamilies, weightFiles } from './convert.js'
import { readEncoderShape } from './convert/config.js'
import { downloadFile, RangeIgnored, type RemoteFile } from './download.js'
import { weightsFolder, type BackboneName } from './names.js'
import type { FetchListener } from './progress.js'
import {
  boundedFetch,
  explainFailure,
  explainStatus,
  headersOnly,
  patientFetch,
  type RequestLimits,
} from './request.js'
import { modelPaths } from './resolve.js'
import { isStorageError } from './storage.js'

export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string
  readonly token?: string | undefined
  /** Nothing is asked of the hub. */
  readonly offline: boolean
  /** For the connection and the first byte, in milliseconds. */
  readonly timeout: number
  /** Before a broken download is continued, in milliseconds. */
  readonly retryAfter?: number
}

/**
 * The usual variables: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, and HF_HUB_DOWNLOAD_TIMEOUT (seconds).
 */
export function hubSettings(environment: NodeJS.ProcessEnv = process.env): HubSettings {
  const seconds = Number(environment['HF_HUB_DOWNLOAD_TIMEOUT'])
  return {
    endpoint: (environment['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/+$/, ''),
    token: environment['HF_TOKEN'] || undefined,
    offline: /^(1|on|yes|true)$/i.test(environment['HF_HUB_OFFLINE'] ?? ''),
    timeout: seconds > 0 && Number.isFinite(seconds) ? 1000 * seconds : 5000,
  }
}

/** Files of a backbone that are here now. */
export interface Brought {
  /** Paths in the folder: all of a backbone, or all but the model. */
  readonly files: readonly string[]
  /** The folder of the weights that the model is to be made of, where the repository has no ONNX file. */
  readonly weights?: string
  /** The very commit. */
  readonly commit: string
}

/** Beside the model. */
const otherFiles = ['config.json', 'tokenizer.json']
/** Of a question to the hub that it answers with a failure of its own. */
const mostTries = 3

/**
 * Brings the files of a repository into a folder: its ONNX model and the files with its tensors, or the weights to
 * convert, and config.json and tokenizer.json.
 * @throws BackboneError ERR_BACKBONE_OFFLINE, ERR_BACKBONE_UNREACHABLE, ERR_BACKBONE_DENIED, ERR_BACKBONE_NOT_FOUND,
 * ERR_BACKBONE_NO_MODEL, ERR_BACKBONE_UNSUPPORTED, ERR_BACKBONE_CHECKSUM, ERR_BACKBONE_INCOMPLETE
 */
export async function bringFromHub(
  name: BackboneName & { kind: 'hub' },
  folder: string,
  settings: HubSettings,
  emit: FetchListener,
  signal?: AbortSignal,
): Promise<Brought> {
  const { repository, revision } = name
  const about = `${settings.endpoint}/${repository}`
  if (settings.offline) {
    throw new BackboneError('ERR_BACKBONE_OFFLINE', `${about} is not asked, because HF_HUB_OFFLINE is set`, {
      url: about,
    })
  }
  const limits = { firstByte: settings.timeout, stall: Math.max(30_000, settings.timeout), signal }
  try {
    const source = await HubRepository.open(repository, revision, settings, limits)
    const files: string[] = []
    const bring = async (path: string) => {
      const target = join(folder, ...path.split('/'))
      await source.download(path, target, emit)
      files.push(path)
      return target
    }
    for (const path of otherFiles.filter((each) => source.has(each))) await bring(path)
    if (!source.has('tokenizer.json'))
      emit({ kind: 'warning', message: `${about} has no tokenizer.json: the backbone reads token ids only, no text` })
    const model = modelPaths.find((path) => source.has(path))
    if (model === undefined) return { files, weights: await bringWeights(folder, source, emit), commit: source.commit }
    await bringModel(model, source, bring)
    return { files, commit: source.commit }
  } catch (error) {
    signal?.throwIfAborted()
    throw isStorageError(error) ? error : explainFailure(error, about)
  }
}

/** The model, and the files beside it that it names. */
async function bringModel(
  path: string,
  source: HubRepository,
  bring: (path: string) => Promise<string>,
): Promise<void> {
  const target = await bring(path)
  for (const location of await readLocations(target)) {
    const beside = posix.join(posix.dirname(path), location)
    if (!source.has(beside)) {
      throw new BackboneError(
        'ERR_BACKBONE_NO_MODEL',
        `${source.about}: ${path} keeps tensors in "${location}", which the repository does not have`,
        { url: source.about, file: path, expected: beside },
      )
    }
    await bring(beside)
  }
}

/** The safetensors of a repository without ONNX, once config.json is known to be of a kind that can be converted. */
async function bringWeights(folder: string, source: HubRepository, emit: FetchListener): Promise<string> {
  const { about } = source
  const [whole, index] = weightFiles
  const found = [whole, index].find((path) => source.has(path))
  if (found === undefined || !source.has('config.json')) {
    throw new BackboneError(
      'ERR_BACKBONE_NO_MODEL',
      `${about} has neither ${modelPaths.join(' nor ')}, nor ${weightFiles.join(' or ')} with config.json of ${supportedFamilies}; ` +
        'name another repository, or export the model to ONNX and name the file',
      { url: about, expected: [...modelPaths, ...weightFiles] },
    )
  }
  await readEncoderShape(join(folder, 'config.json'))
  const weights = join(folder, weightsFolder)
  const target = join(weights, found)
  await source.download(found, target, emit)
  const parts = found === index ? parseIndex(await readFile(target, 'utf8'), target) : []
  for (const part of parts) {
    if (!source.has(part)) throw explainStatus(404, `${about}: ${part}`)
    await source.download(part, join(weights, part), emit)
  }
  return weights
}

/** A repository at one commit: what it holds, and its files. */
class HubRepository {
  readonly about: string
  readonly #files: ReadonlyMap<string, Hub.ListFileEntry>
  readonly #hub: typeof Hub
  readonly #repository: string
  readonly #settings: HubSettings
  readonly #fetch: typeof fetch
  readonly #signal: AbortSignal | undefined

  private constructor(
    hub: typeof Hub,
    repository: string,
    readonly commit: string,
    files: ReadonlyMap<string, Hub.ListFileEntry>,
    settings: HubSettings,
    limits: RequestLimits,
  ) {
    this.about = `${settings.endpoint}/${repository}`
    this.#hub = hub
    this.#repository = repository
    this.#files = files
    this.#settings = settings
    this.#fetch = boundedFetch(limits)
    this.#signal = limits.signal
  }

  /** Asks which commit the revision is, and which files it has: all that follows is of that one commit. */
  static async open(
    repository: string,
    revision: string,
    settings: HubSettings,
    limits: RequestLimits,
  ): Promise<HubRepository> {
    // Loaded here: who names a path needs none of it.
    const hub = await import('@huggingface/hub')
    const request = patientFetch(boundedFetch(limits), mostTries, settings.retryAfter ?? 500)
    const common = { hubUrl: settings.endpoint, fetch: request, ...tokenOf(settings) }
    const { sha } = await hub.modelInfo({ ...common, name: repository, revision, additionalFields: ['sha'] })
    if (typeof sha !== 'string') throw new SyntaxError('it names no commit')
    const files = new Map<string, Hub.ListFileEntry>()
    for await (const entry of hub.listFiles({ ...common, repo: repository, revision: sha, recursive: true }))
      if (entry.type === 'file') files.set(entry.path, entry)
    return new HubRepository(hub, repository, sha, files, settings, limits)
  }

  has(path: string): boolean {
    return this.#files.has(path)
  }

  async download(path: string, target: string, emit: FetchListener): Promise<void> {
    const { size, lfs, oid } = this.#files.get(path)!
    const info = await this.#hub
      .fileDownloadInfo({
        repo: this.#repository,
        path,
        revision: this.commit,
        hubUrl: this.#settings.endpoint,
        fetch: headersOnly(this.#fetch),
        ...tokenOf(this.#settings),
      })
      .catch((error: unknown) => {
        throw explainFailure(error, `${this.about}: ${path}`)
      })
    if (!info) throw explainStatus(404, `${this.about}: ${path}`)
    const linked = /[0-9a-f]{64}/.exec(info.etag)?.[0]
    const sha256 = lfs?.oid ?? linked
    const file: RemoteFile = {
      path: `${this.#repository}/${path}`,
      bytes: lfs?.size ?? size,
      ...(sha256 ? { sha256 } : { gitHash: oid }),
    }
    const url = `${this.about}/resolve/${this.commit}/${path}`
    await makeFolder(dirname(target))
    await downloadFile(file, target, {
      read: (start) => this.#stream(url, start),
      onBytes: (done) => emit({ kind: 'bytes', file: path, done, total: file.bytes }),
      signal: this.#signal,
      ...(this.#settings.retryAfter === undefined ? {} : { retryAfter: this.#settings.retryAfter }),
    })
  }

  /** The library's own download holds files in memory, or starts again where a connection breaks; this one goes on. */
  async *#stream(url: string, start: number): AsyncGenerator<Uint8Array> {
    const { token } = this.#settings
    const headers = {
      // Compressed on the way, a file would have neither its length nor ranges.
      'accept-encoding': 'identity',
      ...(start > 0 ? { range: `bytes=${start}-` } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    }
    try {
      const response = await this.#fetch(url, { headers })
      if (!response.ok) throw explainStatus(response.status, url)
      const isPart = response.status === 206
      const begins = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]
      if (start > 0 && (!isPart || Number(begins) !== start)) {
        await response.body?.cancel()
        throw new RangeIgnored(`${url}: asked for byte ${start} on, the server sent something else`)
      }
      if (response.body) yield* response.body as unknown as AsyncIterable<Uint8Array>
    } catch (error) {
      throw error instanceof RangeIgnored ? error : explainFailure(error, url)
    }
  }
}

/** @throws BackboneError ERR_BACKBONE_DENIED for a token that is none */
function tokenOf({ token }: HubSettings): { accessToken?: string } {
  if (token === undefined) return {}
  if (!token.startsWith('hf_'))
    throw new BackboneError('ERR_BACKBONE_DENIED', 'HF_TOKEN is not a token of the hub: those start with "hf_"', {})
  return { accessToken: token }
}
