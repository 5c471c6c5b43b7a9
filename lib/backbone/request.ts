/** HTTP with an end to waiting, and with failures told apart. */

import { setTimeout as sleep } from 'node:timers/promises'
import { BackboneError, OnnxAdaptersError } from '../errors.js'

export interface RequestLimits {
  /** For the connection and the first byte of an answer, in milliseconds. */
  readonly firstByte: number
  /** Between two parts of an answer, in milliseconds. */
  readonly stall: number
  readonly signal?: AbortSignal | undefined
}

const mostRedirects = 5
/** Headers of the hub's own answer that those of the place it sends to lack. */
const linked = ['x-linked-etag', 'x-linked-size', 'x-repo-commit']

/** The time for an answer ran out. */
export class SlowAnswer extends Error {}

/**
 * A `fetch` that gives up, in place of the global one. Redirects are followed here: the hub says what a file's hash is
 * in the answer that sends elsewhere; those headers are kept. A token goes to the first host alone.
 */
export function boundedFetch(limits: RequestLimits): typeof fetch {
  return async (input, init = {}) => {
    const first = new URL(input instanceof Request ? input.url : input)
    const kept = new Headers()
    let url = first
    for (let hop = 0; hop <= mostRedirects; hop++) {
      const headers = new Headers(init.headers)
      if (url.origin !== first.origin) headers.delete('authorization')
      const response = await fetchOnce(url, { ...init, headers, redirect: 'manual' }, limits)
      const location = response.headers.get('location')
      const isRedirect = response.status >= 300 && response.status < 400 && location !== null
      for (const name of isRedirect ? linked : []) {
        const value = response.headers.get(name)
        if (value !== null) kept.set(name, value)
      }
      if (!isRedirect) {
        for (const [name, value] of response.headers) if (!kept.has(name)) kept.set(name, value)
        return new Response(response.body, { status: response.status, headers: kept })
      }
      await response.body?.cancel()
      url = new URL(location, url)
    }
    throw new Error(`more than ${mostRedirects} redirects from ${first.href}`)
  }
}

/** The same `fetch`, for answers of which the headers alone are wanted: a body that nobody reads keeps its connection. */
export function headersOnly(request: typeof fetch): typeof fetch {
  return async (input, init) => {
    const response = await request(input, init)
    if (!response.ok) return response
    await response.body?.cancel()
    return new Response(null, { status: response.status, headers: response.headers })
  }
}

/** The same `fetch`, asking again where the server is busy or stumbles. */
export function patientFetch(request: typeof fetch, tries: number, retryAfter: number): typeof fetch {
  return async (input, init) => {
    for (let failures = 1; ; failures++) {
      const response = await request(input, init)
      if ((response.status < 500 && response.status !== 429) || failures === tries) return response
      await response.body?.cancel()
      await sleep(retryAfter * 2 ** (failures - 1))
    }
  }
}

async function fetchOnce(url: URL, init: RequestInit, limits: RequestLimits): Promise<Response> {
  const { firstByte, signal } = limits
  const giveUp = new AbortController()
  const signals = [giveUp.signal, ...(signal ? [signal] : [])]
  let timer: NodeJS.Timeout | undefined
  const wait = (milliseconds: number) => {
    clearTimeout(timer)
    const reason = new SlowAnswer(`no answer from ${url.host} within ${milliseconds / 1000} s`)
    timer = setTimeout(() => giveUp.abort(reason), milliseconds)
  }
  wait(firstByte)
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.any(signals) })
    clearTimeout(timer)
    if (!response.body) return response
    const { status, headers } = response
    const body = watch(response.body, wait, limits, () => clearTimeout(timer))
    // Without its length and encoding: the body has been decoded.
    const plain = new Headers(headers)
    if (headers.has('content-encoding')) for (const name of ['content-encoding', 'content-length']) plain.delete(name)
    return new Response(body, { status, headers: plain })
  } catch (error) {
    clearTimeout(timer)
    throw error
  }
}

/** The body, with a new time limit for each part. */
function watch(
  body: ReadableStream<Uint8Array>,
  wait: (milliseconds: number) => void,
  { firstByte, stall }: RequestLimits,
  stop: () => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  let limit = firstByte
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // Time that the reader takes for itself does not count.
        wait(limit)
        limit = stall
        try {
          const { done, value } = await reader.read()
          if (done) controller.close()
          else controller.enqueue(value)
        } finally {
          stop()
        }
      },
      cancel: (reason) => {
        stop()
        return reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'its address is not known',
  EAI_AGAIN: 'its address cannot be looked up',
  ENETUNREACH: 'there is no way to it',
  EHOSTUNREACH: 'there is no way to it',
  ETIMEDOUT: 'there was no answer',
  UND_ERR_CONNECT_TIMEOUT: 'there was no answer',
  UND_ERR_SOCKET: 'the connection was cut',
}

/**
 * An error of a request in words: what a network failure was, or what the hub answered.
 * @param about the URL or the repository asked for
 */
export function explainFailure(error: unknown, about: string): Error {
  if (error instanceof OnnxAdaptersError || isMistake(error)) return error
  const status = (error as { statusCode?: unknown }).statusCode
  const message = error instanceof Error ? error.message : String(error)
  if (typeof status === 'number') return explainStatus(status, about, error)
  const code = findCode(error)
  if (error instanceof SyntaxError) {
    return new BackboneError(
      'ERR_BACKBONE_UNREACHABLE',
      `${about}: the answer is not that of a hub (${message}); a proxy or a sign-in page may stand between, or HF_ENDPOINT be wrong`,
      { url: about, reason: message },
      { cause: error },
    )
  }
  const why = (code && reasons[code]) ?? deepest(error)
  const proxy = process.env['HTTPS_PROXY'] ?? process.env['https_proxy']
  const hint = proxy && !process.env['NODE_USE_ENV_PROXY'] ? '; HTTPS_PROXY is used where NODE_USE_ENV_PROXY=1' : ''
  return new BackboneError(
    'ERR_BACKBONE_UNREACHABLE',
    `${about} cannot be reached: ${why}${code ? ` (${code})` : ''}${hint}`,
    { url: about, reason: code ?? message },
    { cause: error },
  )
}

/** The error of an answer that is no success. */
export function explainStatus(status: number, about: string, cause?: unknown): BackboneError {
  const details = { url: about, status }
  const make = (code: string, text: string) => new BackboneError(code, text, details, { cause })
  // The hub answers 401, not 404, to strangers who ask for what does not exist.
  if (status === 401 || status === 403)
    return make(
      'ERR_BACKBONE_DENIED',
      `${about}: the hub answered ${status}: there is no such repository, or it is private or gated; ` +
        'check the name, or set HF_TOKEN to a token that may read it',
    )
  if (status === 404)
    return make('ERR_BACKBONE_NOT_FOUND', `${about}: the hub has no such repository, revision or file (404)`)
  return make('ERR_BACKBONE_UNREACHABLE', `${about}: the hub answered ${status}; try again later`)
}

/** A mistake in this code is not the network's; what `fetch` throws is a TypeError too, but has a cause. */
function isMistake(error: unknown): error is Error {
  const isOdd = error instanceof TypeError && error.cause === undefined && !/URL/.test(error.message)
  return isOdd || error instanceof ReferenceError || error instanceof RangeError
}

/** `fetch` says "fetch failed" of everything; why stands on the cause. */
function deepest(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? deepest(error.cause) : error.message
}

/** The system's code, which stands on the cause of what `fetch` throws, or on one of several causes. */
function findCode(error: unknown): string | undefined {
  for (let current: unknown = error; current instanceof Error; current = current.cause) {
    const { code } = current as NodeJS.ErrnoException
    if (typeof code === 'string') return code
    if (current instanceof AggregateError) return findCode(current.errors[0])
  }
  return undefined
}
