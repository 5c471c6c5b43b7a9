/** A page in headless Chromium, served from this machine, and what it sends back. */
import { spawn, spawnSync } from 'node:child_process'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, normalize } from 'node:path'
import type { AddressInfo } from 'node:net'

const programs = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** Chromium: the one that ONNX_ADAPTERS_CHROMIUM names, or the first that is installed. */
export const chromium = [process.env['ONNX_ADAPTERS_CHROMIUM'] ?? '', ...programs].find(
  (name) => name !== '' && spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
)

/** How long a page may take to start, load a model and predict. */
const patience = 120_000

const types: Readonly<Record<string, string>> = {
  html: 'text/html',
  js: 'text/javascript',
  mjs: 'text/javascript',
  json: 'application/json',
  wasm: 'application/wasm',
}

/**
 * Runs a module in a page until it calls `answer(value)`.
 * @param script the module's text
 * @param folders what is served below which first part of a path
 */
export async function runInPage(script: string, folders: Readonly<Record<string, string>>): Promise<unknown> {
  const profile = await mkdtemp(join(tmpdir(), 'onnx-adapters-chromium-'))
  const page = `<!doctype html><meta charset="utf-8"><title>test</title><script type="module">
const answer = (value) => fetch('/answer', { method: 'POST', body: JSON.stringify(value) })
addEventListener('error', ({ message }) => answer({ error: message }))
addEventListener('unhandledrejection', ({ reason }) => answer({ error: String(reason?.stack ?? reason) }))
${script}
</script>`
  let found: (value: unknown) => void = () => {}
  const answer = new Promise<unknown>((done) => (found = done))
  const server = await serve(page, folders, (value) => found(value))
  const { port } = server.address() as AddressInfo
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', `--user-data-dir=${profile}`]
  const browser = spawn(chromium!, [...flags, '--remote-debugging-port=0', `http://127.0.0.1:${port}/`], {
    stdio: 'ignore',
  })
  const timer = setTimeout(() => found({ error: `no answer of the page in ${patience} ms` }), patience)
  browser.once('error', (error) => found({ error: error.message }))
  browser.once('exit', (code) => found({ error: `the browser ended with ${code}` }))
  try {
    return await answer
  } finally {
    clearTimeout(timer)
    const ended = browser.exitCode === null && new Promise((done) => browser.once('exit', done))
    browser.kill('SIGKILL')
    await ended
    server.closeAllConnections()
    server.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

function serve(
  page: string,
  folders: Readonly<Record<string, string>>,
  answer: (value: unknown) => void,
): Promise<Server> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://localhost').pathname)
    if (request.method === 'POST') {
      let text = ''
      request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      request.on('end', () => {
        response.end()
        answer(JSON.parse(text))
      })
      return
    }
    if (path === '/') return void response.setHeader('content-type', 'text/html').end(page)
    const [, first = '', ...rest] = path.split('/')
    const folder = Object.hasOwn(folders, first) ? folders[first] : undefined
    const file = folder === undefined ? '' : join(folder, normalize(`/${rest.join('/')}`))
    if (!existsSync(file) || !statSync(file).isFile()) return void response.writeHead(404).end()
    response.setHeader('content-type', types[file.slice(file.lastIndexOf('.') + 1)] ?? 'application/octet-stream')
    createReadStream(file).pipe(response)
  })
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)))
}
