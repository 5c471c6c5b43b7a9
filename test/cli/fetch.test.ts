/** `onnx-adapters fetch`, and names where other commands take a backbone, in child processes. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { main, type Outcome } from '../support/cli.js'
import { asTsv, colourRows, temporaryFolder, tinyTokenizer, writeFiles } from '../support/folder.js'
import { commit, FakeHub, sha256 } from '../support/hub.js'
import { packagePath } from '../support/shared.js'
import { tinyWeights, writeWeights } from '../support/weights.js'

const model = await readFile(packagePath('test', 'golden', 'sdpa', 'model.onnx'))
const config = await readFile(packagePath('test', 'golden', 'sdpa', 'config.json'))

interface Scene {
  readonly hub: FakeHub
  readonly cache: string
  readonly folder: string
  readonly start: (...args: string[]) => { child: ChildProcess; end: Promise<Outcome> }
  readonly cli: (...args: string[]) => Promise<Outcome>
}

async function prepare(t: ExecutionContext): Promise<Scene> {
  const hub = await FakeHub.start(t)
  hub.add('some/tiny', {
    'config.json': config,
    'tokenizer.json': JSON.stringify(tinyTokenizer),
    'onnx/model.onnx': model,
  })
  const folder = await temporaryFolder(t)
  const cache = join(folder, 'cache')
  const settings = { HF_ENDPOINT: hub.endpoint, HF_HUB_DOWNLOAD_TIMEOUT: '30', ONNX_ADAPTERS_CACHE: cache }
  const env = { ...process.env, ...settings }
  const start: Scene['start'] = (...args) => {
    const child = spawn(process.execPath, [main, ...args], { env })
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk))
    }
    const end = new Promise<Outcome>((finish) => child.once('close', (code) => finish({ code, ...text })))
    return { child, end }
  }
  return { hub, cache, folder, start, cli: (...args) => start(...args).end }
}

test('fetch prints the folder, and says on the side what it does', async (t) => {
  const { hub, cache, cli } = await prepare(t)
  const folder = join(cache, 'backbones', 'some', 'tiny')
  const first = await cli('fetch', 'some/tiny')
  t.is(first.code, 0, first.stderr)
  t.is(first.stdout, `${folder}\n`)
  t.regex(
    first.stderr,
    new RegExp(`^fetching from ${hub.endpoint}/some/tiny\nsome/tiny is here: 0\\.1 MB, hub:some/tiny@`),
  )
  t.notRegex(first.stderr, /[\r\x1b]/)
  const again = await cli('fetch', 'some/tiny', '--json', '--quiet')
  t.is(again.stderr, '')
  const { bytes, ...rest } = JSON.parse(again.stdout) as { bytes: number }
  t.true(bytes > model.length)
  t.deepEqual(rest as object, {
    name: 'some/tiny',
    folder,
    source: `hub:some/tiny@${commit}`,
    sha256: sha256(model),
    cached: true,
  })
})

test('fetch says what is wrong', async (t) => {
  const { cli } = await prepare(t)
  const missing = await cli('fetch', 'some/other', '--quiet')
  t.is(missing.code, 1)
  t.is(missing.stdout, '')
  t.regex(missing.stderr, /^error: ERR_BACKBONE_NOT_FOUND: .*no such repository/)
  t.regex((await cli('fetch', 'a/b/c')).stderr, /ERR_BACKBONE_NAME/)
  t.is((await cli('fetch')).code, 2)
  t.regex((await cli('inspect', 'some/other')).stderr, /ERR_BACKBONE_NOT_FOUND/)
  t.regex((await cli('inspect', 'all-MiniLM-L6')).stderr, /ERR_ONNX_MISSING.*did you mean "all-MiniLM-L6-v2"/)
})

test('fetch makes a model of the weights in a folder', async (t) => {
  const { folder, cli } = await prepare(t)
  const own = await writeWeights(join(folder, 'own'), tinyWeights('bert.'))
  t.regex(
    (await cli('inspect', own)).stderr,
    /it has model\.safetensors: "onnx-adapters fetch .*own" makes a model of it/,
  )
  const { code, stdout, stderr } = await cli('fetch', own)
  t.is(code, 0, stderr)
  t.is(stdout, `${own}\n`)
  t.regex(stderr, /made .*own\/model\.onnx of [\d,]+ weights/)
  t.is((await cli('inspect', own, '--json')).code, 0)
})

test('two processes at once bring it once', async (t) => {
  const { hub, cache, cli } = await prepare(t)
  // Long enough for the second process to come.
  hub.fault = ({ path }, before) => (path.startsWith('/store/') && before === 0 ? { cutAfter: 50_000 } : undefined)
  const outcomes = await Promise.all([1, 2].map(() => cli('fetch', 'some/tiny')))
  t.deepEqual(
    outcomes.map(({ code }) => code),
    [0, 0],
    outcomes.map(({ stderr }) => stderr).join(),
  )
  t.is(hub.requests.filter(({ path, range }) => path.startsWith('/store/') && range === undefined).length, 1)
  t.deepEqual(await readFile(join(cache, 'backbones', 'some', 'tiny', 'onnx', 'model.onnx')), model)
})

test('a process that was killed leaves what it had to the next', async (t) => {
  const { hub, cache, cli, start } = await prepare(t)
  hub.fault = ({ path, range }) =>
    path.startsWith('/store/') && range === undefined ? { holdAfter: 60_000 } : undefined
  const { child, end } = start('fetch', 'some/tiny')
  const partials = join(cache, 'backbones', '.incomplete', 'some--tiny', 'onnx')
  for (;;) {
    const [name] = await readdir(partials).catch(() => [])
    if (name && (await stat(join(partials, name))).size === 60_000) break
    await new Promise((done) => setTimeout(done, 20))
  }
  child.kill('SIGKILL')
  await end
  await t.throwsAsync(stat(join(cache, 'backbones', 'some')), { code: 'ENOENT' })
  const { code, stderr } = await cli('fetch', 'some/tiny')
  t.is(code, 0, stderr)
  t.is(hub.requests.at(-1)!.range, 'bytes=60000-')
  t.deepEqual(await readFile(join(cache, 'backbones', 'some', 'tiny', 'onnx', 'model.onnx')), model)
})

test('train takes a name, and its run finds the backbone again', async (t) => {
  const { hub, cache, folder, cli } = await prepare(t)
  await writeFiles(folder, { 'train.tsv': asTsv(colourRows(24)) })
  const [data, run] = [join(folder, 'train.tsv'), join(folder, 'run')]
  const small = ['--adapter-size', '4', '--epochs', '1', '--threads', '1']
  const train = ['train', '--backbone', 'some/tiny', '--train', data, '--output', run, ...small]
  // Wrong options are worth no download.
  t.is((await cli(...train, '--epochs', '0')).code, 2)
  t.is(hub.requests.length, 0)
  const trained = await cli(...train)
  t.is(trained.code, 0, trained.stderr)
  t.regex(trained.stderr, /fetching from .*some\/tiny/)
  const record = JSON.parse(await readFile(join(run, 'run.json'), 'utf8')) as { backbone: { name: string } }
  t.is(record.backbone.name, 'some/tiny')

  // The cache is gone, then so is the hub; then the backbone is another one.
  await rm(cache, { recursive: true })
  const again = await cli('evaluate', run, '--data', data, '--json')
  t.is(again.code, 0, again.stderr)
  await rename(join(cache, 'backbones', 'some'), join(folder, 'elsewhere'))
  await hub.stop()
  const lost = await cli('evaluate', run, '--data', data)
  t.is(lost.code, 1)
  t.regex(lost.stderr, /ERR_RUN_BACKBONE.*"some\/tiny" is not at .*ECONNREFUSED.*say where it is by --backbone/)
  const told = await cli('evaluate', run, '--data', data, '--backbone', join(folder, 'elsewhere', 'tiny'))
  t.is(told.code, 0, told.stderr)
})

test('another backbone under the name of a run is refused', async (t) => {
  const { hub, cache, folder, cli } = await prepare(t)
  await writeFiles(folder, { 'train.tsv': asTsv(colourRows(24)) })
  const [data, run] = [join(folder, 'train.tsv'), join(folder, 'run')]
  const small = ['--adapter-size', '4', '--epochs', '1', '--threads', '1', '--quiet']
  const trained = await cli('train', '--backbone', 'some/tiny', '--train', data, '--output', run, ...small)
  t.is(trained.code, 0, trained.stderr)
  await rm(cache, { recursive: true })
  const other = await readFile(packagePath('test', 'golden', 'eager', 'model.onnx'))
  hub.add('some/tiny', { 'config.json': config, 'tokenizer.json': JSON.stringify(tinyTokenizer), 'model.onnx': other })
  const refused = await cli('evaluate', run, '--data', data)
  t.is(refused.code, 1)
  t.regex(refused.stderr, /ERR_RUN_BACKBONE.*is another file/)
})
