/** A server on this machine that answers as the Hugging Face hub does, and can be told to fail. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'

/** What may go wrong with an answer. */
export interface Fault {
  /** A page for people, as a proxy that wants a password sends it. */
  readonly page?: boolean
  readonly status?: number
  /** The connection is cut after so many bytes of the body. */
  readonly cutAfter?: number
  /** After so many bytes of the body nothing more comes. */
  readonly holdAfter?: number
  /** No byte of an answer comes. */
  readonly silent?: boolean
  /** The header comes, then nothing. */
  readonly stall?: boolean
  /** Other bytes than those that were published, as many. */
  readonly wrongBytes?: boolean
  /** The whole file, whatever part was asked for. */
  readonly ignoresRange?: boolean
}

export interface HubRequest {
  readonly path: string
  readonly range: string | undefined
  readonly authorization: string | undefined
}

export interface HubFile {
  readonly content: Uint8Array
  /** Large files are kept elsewhere, and have a sha256. @default from 10 kB on */
  readonly lfs?: boolean
  /** The list of files keeps the sha256 to itself. */
  readonly unlisted?: boolean
}

export const commit = '0123456789abcdef0123456789abcdef01234567'

export class FakeHub {
  readonly requests: HubRequest[] = []
  /** Decides what goes wrong: gets the request, and how many there were of its path before. */
  fault: (request: HubRequest, before: number) => Fault | undefined = () => undefined
  endpoint = ''
  /** Where large files are: another host, as browsers count them. */
  storeEndpoint = ''
  readonly #server: Server
  readonly #store: Server
  readonly #repositories = new Map<string, ReadonlyMap<string, HubFile>>()

  private constructor(server: Server, store: Server) {
    this.#server = server
    this.#store = store
  }

  /** @param t the hub goes when its test ends */
  static async start(t: ExecutionContext): Promise<FakeHub> {
    const [server, store] = [createServer(), createServer()]
    const hub = new FakeHub(server, store)
    for (const each of [server, store]) {
      each.on('request', (request, response) => hub.#answer(request, response))
      await new Promise<void>((done) => each.listen(0, '127.0.0.1', done))
    }
    // Its address is still known when it has gone.
    hub.endpoint = addressOf(server)
    hub.storeEndpoint = addressOf(store)
    t.teardown(() => hub.stop())
    return hub
  }

  /** From now on connections are refused. */
  async stop(): Promise<void> {
    for (const each of [this.#server, this.#store]) {
      each.closeAllConnections()
      await new Promise<void>((done) => each.close(() => done()))
    }
  }

  add(repository: string, files: Readonly<Record<string, string | Uint8Array | HubFile>>): void {
    const entries = Object.entries(files).map(([path, file]) => {
      if (typeof file === 'string') return [path, { content: Buffer.from(file) }] as const
      return [path, file instanceof Uint8Array ? { content: file } : file] as const
    })
    this.#repositories.set(repository, new Map(entries))
  }

  /** Requests for the content of a file, from the place where it is kept. */
  downloads(path: string): HubRequest[] {
    return this.requests.filter((request) => request.path.endsWith(`/${path}`) && request.range !== 'bytes=0-0')
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url!, this.endpoint).pathname)
    const seen = { path, range: request.headers.range, authorization: request.headers.authorization }
    const before = this.requests.filter((each) => each.path === path && each.range !== 'bytes=0-0').length
    this.requests.push(seen)
    const fault = this.fault(seen, before) ?? {}
    if (fault.silent) return
    if (fault.page) {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>')
      return
    }
    if (fault.status !== undefined) {
      response.writeHead(fault.status, { 'content-type': 'application/json' }).end('{"error":"told to fail"}')
      return
    }
    const [, kind, repository = '', rest = ''] =
      /^\/(api\/models|store)\/([^/]+\/[^/]+)\/(.*)$/.exec(path) ??
      /^()\/([^/]+\/[^/]+)\/resolve\/(.*)$/.exec(path) ??
      []
    const files = this.#repositories.get(repository)
    if (!files) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"Repository not found"}')
      return
    }
    if (kind === 'api/models') return this.#answerApi(repository, files, rest, response)
    const name = kind === 'store' ? rest : rest.slice(rest.indexOf('/') + 1)
    const file = files.get(name)
    if (!file) {
      response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end()
      return
    }
    if (kind === 'store' || !isLarge(file)) return sendFile(file, seen, fault, response)
    const headers = {
      location: `${this.storeEndpoint}/store/${repository}/${name}`,
      'x-linked-etag': `"${sha256(file.content)}"`,
      'x-linked-size': file.content.length,
      'x-repo-commit': commit,
    }
    response.writeHead(302, headers).end()
  }

  #answerApi(repository: string, files: ReadonlyMap<string, HubFile>, rest: string, response: ServerResponse): void {
    const send = (value: unknown) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    if (rest.startsWith('revision/')) return send({ _id: 'x', id: repository, sha: commit })
    const entries = [...files].map(([path, file]) => ({
      type: 'file',
      path,
      size: file.content.length,
      oid: gitHash(isLarge(file) ? Buffer.from('a pointer') : file.content),
      ...(isLarge(file) && !file.unlisted
        ? { lfs: { oid: sha256(file.content), size: file.content.length, pointerSize: 134 } }
        : {}),
    }))
    send(entries)
  }
}

function isLarge({ content, lfs = content.length > 10_000 }: HubFile): boolean {
  return lfs
}

function sendFile({ content }: HubFile, { range }: HubRequest, fault: Fault, response: ServerResponse): void {
  const bytes = fault.wrongBytes ? Buffer.alloc(content.length, 1) : Buffer.from(content)
  const [, first, last] = (!fault.ignoresRange && /^bytes=(\d+)-(\d*)$/.exec(range ?? '')) || []
  const start = Number(first ?? 0)
  const end = last ? Number(last) + 1 : bytes.length
  const headers = {
    etag: `"${gitHash(content)}"`,
    'content-length': end - start,
    ...(first === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }),
  }
  response.writeHead(first === undefined ? 200 : 206, headers)
  response.flushHeaders()
  if (fault.stall) return
  const body = bytes.subarray(start, end)
  if (fault.holdAfter !== undefined && range !== 'bytes=0-0') response.write(body.subarray(0, fault.holdAfter))
  else if (fault.cutAfter === undefined || range === 'bytes=0-0') response.end(body)
  else response.write(body.subarray(0, fault.cutAfter), () => setTimeout(() => response.destroy(), 20))
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function gitHash(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
}
