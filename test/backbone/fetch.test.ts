/** Backbones by name, from a hub on this machine that can be told to fail. */
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { bringBackbone, fetchBackbone, type FetchContext } from '../../lib/backbone/fetch.js'
import { parseName } from '../../lib/backbone/names.js'
import type { FetchEvent } from '../../lib/backbone/progress.js'
import { loadBackbone } from '../../lib/index.js'
import { readModel } from '../../lib/onnx/read.js'
import { writeModel } from '../../lib/onnx/write.js'
import { temporaryFolder, tinyTokenizer } from '../support/folder.js'
import { makeReadOnly, noMount, smallDisk } from '../support/full_disk.js'
import { commit, FakeHub, sha256, type HubRequest } from '../support/hub.js'
import { packagePath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'
import { safetensorsBytes, tinyConfig, tinyWeights } from '../support/weights.js'

const model = await readFile(packagePath('test', 'golden', 'sdpa', 'model.onnx'))
const config = await readFile(packagePath('test', 'golden', 'sdpa', 'config.json'))
const tokenizer = JSON.stringify(tinyTokenizer)
const files = { 'README.md': 'not wanted', 'config.json': config, 'tokenizer.json': tokenizer }
const tiny = { ...files, 'onnx/model.onnx': model, 'onnx/model_quantized.onnx': 'not wanted' }

interface Scene {
  readonly hub: FakeHub
  readonly context: FetchContext
  /** Where the backbone is to be. */
  readonly folder: string
  readonly bring: (options?: { signal?: AbortSignal; onProgress?: (event: FetchEvent) => void }) => Promise<unknown>
}

/** @param timeout for the first byte, in milliseconds; short where nothing comes, long on a machine that is busy */
async function prepare(
  t: ExecutionContext,
  content: Parameters<FakeHub['add']>[1] = tiny,
  timeout = 30_000,
): Promise<Scene> {
  const hub = await FakeHub.start(t)
  hub.add('some/tiny', content)
  const cache = join(await temporaryFolder(t), 'cache')
  const settings = { endpoint: hub.endpoint, offline: false, timeout, retryAfter: 5 }
  const context = { cache, hub: settings, packageOf: () => undefined }
  const bring: Scene['bring'] = (options = {}) => bringBackbone(parseName('some/tiny')!, options, context)
  return { hub, context, folder: join(cache, 'backbones', 'some', 'tiny'), bring }
}

const onlyModel = (request: HubRequest) => request.path.endsWith('/model.onnx') && request.range !== 'bytes=0-0'

/** The cache after a failure: nothing that could be taken for a backbone. */
async function leftovers({ context, folder }: Scene): Promise<string[]> {
  if (await stat(folder).catch(() => undefined)) return ['the folder of the backbone']
  const all = await readdir(join(context.cache, 'backbones'), { recursive: true }).catch(() => [])
  return all.filter((name) => /\.(json|onnx|safetensors|lock)$/.test(name))
}

test('an ONNX repository is brought whole, and once', async (t) => {
  const scene = await prepare(t)
  const events: FetchEvent[] = []
  const fetched = await scene.bring({ onProgress: (event) => events.push(event) })
  const { folder, hub } = scene
  const bytes = model.length + config.length + tokenizer.length
  const expected = { name: 'some/tiny', folder, source: `hub:some/tiny@${commit}`, bytes, sha256: sha256(model) }
  t.deepEqual(fetched, { ...expected, cached: false })
  t.deepEqual((await readdir(folder)).sort(), ['backbone.json', 'config.json', 'onnx', 'tokenizer.json'])
  t.deepEqual(await readdir(join(folder, 'onnx')), ['model.onnx'])
  t.deepEqual(await readFile(join(folder, 'onnx', 'model.onnx')), model)
  const last = events.filter((event) => event.kind === 'bytes').at(-1)
  t.deepEqual(last, { kind: 'bytes', file: 'onnx/model.onnx', done: model.length, total: model.length })
  // All after the first question is asked of the commit that it was answered with.
  t.true(hub.requests.slice(1).every(({ path }) => path.includes(commit) || path.startsWith('/store/')))
  t.deepEqual(await readdir(join(scene.context.cache, 'backbones', '.incomplete')), [])

  const before = hub.requests.length
  t.deepEqual(await scene.bring(), { ...expected, cached: true })
  t.is(hub.requests.length, before)
})

test('a download that breaks goes on where it was', async (t) => {
  const scene = await prepare(t)
  scene.hub.fault = (request, before) => (onlyModel(request) && before < 3 ? { cutAfter: 30_000 } : undefined)
  await scene.bring()
  t.deepEqual(await readFile(join(scene.folder, 'onnx', 'model.onnx')), model)
  const ranges = scene.hub.downloads('store/some/tiny/onnx/model.onnx').map(({ range }) => range)
  t.is(ranges[0], undefined)
  t.true(ranges.length >= 4)
  const starts = ranges.slice(1).map((range) => Number(/^bytes=(\d+)-$/.exec(range!)![1]))
  t.true(starts.every((start, i) => start > (starts[i - 1] ?? 0)))
})

test('a download that was stopped goes on the next time', async (t) => {
  const scene = await prepare(t)
  const stop = new AbortController()
  const onProgress = (event: FetchEvent) => {
    if (event.kind === 'bytes' && event.file.endsWith('.onnx') && event.done >= 50_000) stop.abort(new Error('enough'))
  }
  scene.hub.fault = (request, before) => (onlyModel(request) && before === 0 ? { cutAfter: 60_000 } : undefined)
  await t.throwsAsync(scene.bring({ signal: stop.signal, onProgress }), { message: 'enough' })
  t.deepEqual(
    (await leftovers(scene)).map((name) => name.replace(/^.*\//, '')),
    ['config.json', 'tokenizer.json'],
  )
  await scene.bring()
  t.deepEqual(await readFile(join(scene.folder, 'onnx', 'model.onnx')), model)
  t.regex(scene.hub.downloads('store/some/tiny/onnx/model.onnx').at(-1)!.range!, /^bytes=[5-9]\d{4}-$/)
  // What had come is not asked for again.
  t.is(scene.hub.downloads('config.json').length, 1)
})

test('what an earlier try left may be wrong, or of another version', async (t) => {
  const scene = await prepare(t)
  const staging = join(scene.context.cache, 'backbones', '.incomplete', 'some--tiny')
  await mkdir(join(staging, 'onnx'), { recursive: true })
  const partial = join(staging, 'onnx', `model.onnx.${sha256(model).slice(0, 16)}.partial`)
  await writeFile(partial, Buffer.alloc(1000, 7))
  await writeFile(join(staging, 'onnx', 'model.onnx.0000000000000000.partial'), 'old')
  await writeFile(join(staging, 'model.onnx'), 'old')
  await writeFile(join(staging, 'config.json'), 'old')
  await scene.bring()
  t.deepEqual(await readFile(join(scene.folder, 'onnx', 'model.onnx')), model)
  t.deepEqual(await readFile(join(scene.folder, 'config.json')), config)
  t.deepEqual((await readdir(scene.folder, { recursive: true })).sort(), [
    'backbone.json',
    'config.json',
    'onnx',
    'onnx/model.onnx',
    'tokenizer.json',
  ])
})

test('a server that knows no ranges sends it all again', async (t) => {
  const scene = await prepare(t)
  scene.hub.fault = (request, before) => {
    if (!onlyModel(request)) return undefined
    return before === 0 ? { cutAfter: 30_000 } : { ignoresRange: true }
  }
  await scene.bring()
  t.deepEqual(await readFile(join(scene.folder, 'onnx', 'model.onnx')), model)
})

test('other bytes than were published are not used', async (t) => {
  for (const [path, kind] of [
    ['model.onnx', 'sha256'],
    ['config.json', 'git hash'],
  ] as const) {
    const scene = await prepare(t)
    scene.hub.fault = (request) => (request.path.endsWith(path) ? { wrongBytes: true } : undefined)
    const error = await t.throwsAsync(scene.bring(), { code: 'ERR_BACKBONE_CHECKSUM', message: new RegExp(kind) })
    t.deepEqual(Object.keys((error as unknown as { details: object }).details), ['file', 'found', 'expected'])
    const left = await leftovers(scene)
    t.false(
      left.some((name) => name.endsWith(path)),
      left.join(),
    )
  }
})

test('a hash that only the answer names counts too', async (t) => {
  const scene = await prepare(t, { ...files, 'model.onnx': { content: model, unlisted: true } })
  scene.hub.fault = (request) => (request.path.startsWith('/store/') ? { wrongBytes: true } : undefined)
  await t.throwsAsync(scene.bring(), { code: 'ERR_BACKBONE_CHECKSUM', message: /sha256/ })
  scene.hub.fault = () => undefined
  await scene.bring()
  t.deepEqual(await readFile(join(scene.folder, 'model.onnx')), model)
})

test('a token goes to the hub, and not to where it sends', async (t) => {
  const { hub, context } = await prepare(t)
  await bringBackbone(parseName('some/tiny')!, {}, { ...context, hub: { ...context.hub, token: 'hf_secret' } })
  const [stored, own] = [true, false].map((wanted) =>
    hub.requests.filter(({ path }) => path.startsWith('/store/') === wanted),
  )
  t.true(own!.every(({ authorization }) => authorization === 'Bearer hf_secret'))
  t.true(stored!.length > 0 && stored!.every(({ authorization }) => authorization === undefined))
  const odd = bringBackbone(parseName('a/b')!, {}, { ...context, hub: { ...context.hub, token: 'secret' } })
  await t.throwsAsync(odd, { code: 'ERR_BACKBONE_DENIED', message: /HF_TOKEN/ })
})

test('what the hub refuses is told apart', async (t) => {
  for (const [status, code, message] of [
    [404, 'ERR_BACKBONE_NOT_FOUND', /no such repository/],
    [401, 'ERR_BACKBONE_DENIED', /HF_TOKEN/],
    [403, 'ERR_BACKBONE_DENIED', /HF_TOKEN/],
    [500, 'ERR_BACKBONE_UNREACHABLE', /answered 500/],
  ] as const) {
    const scene = await prepare(t)
    scene.hub.fault = () => ({ status })
    const error = await t.throwsAsync(scene.bring(), { code, message })
    t.like(error, { details: { status, url: `${scene.hub.endpoint}/some/tiny` } })
    t.is(scene.hub.requests.length, status === 500 ? 3 : 1)
    t.deepEqual(await leftovers(scene), [])
  }
})

test('a hub that stumbles once is asked again', async (t) => {
  const scene = await prepare(t)
  const stumbled = new Set<string>()
  scene.hub.fault = ({ path, range }) => {
    if (range === 'bytes=0-0' || stumbled.has(path)) return undefined
    stumbled.add(path)
    return { status: 503 }
  }
  await scene.bring()
  t.deepEqual(await readFile(join(scene.folder, 'onnx', 'model.onnx')), model)
})

test('a page in place of an answer, and a page in place of a file', async (t) => {
  const scene = await prepare(t)
  scene.hub.fault = () => ({ page: true })
  await t.throwsAsync(scene.bring(), { code: 'ERR_BACKBONE_UNREACHABLE', message: /not that of a hub.*sign-in page/ })
  scene.hub.fault = ({ path, range }) => (/resolve.*config\.json/.test(path) && !range ? { page: true } : undefined)
  await t.throwsAsync(scene.bring(), { code: 'ERR_BACKBONE_CHECKSUM' })
  t.deepEqual(await leftovers(scene), [])
})

test('a hub that does not answer is not waited for', async (t) => {
  const scene = await prepare(t, tiny, 400)
  scene.hub.fault = () => ({ silent: true })
  const start = performance.now()
  await t.throwsAsync(scene.bring(), { code: 'ERR_BACKBONE_UNREACHABLE', message: /within 0\.4 s/ })
  t.true(performance.now() - start < 5000)
})

test('a file whose first byte does not come is not waited for', async (t) => {
  const scene = await prepare(t, { 'model.onnx': model }, 1000)
  scene.hub.fault = (request) => (onlyModel(request) ? { stall: true } : undefined)
  await t.throwsAsync(scene.bring(), { code: 'ERR_BACKBONE_UNREACHABLE', message: /within 1 s/ })
  t.is(scene.hub.downloads('store/some/tiny/model.onnx').length, 4)
})

test('no hub at all, and none asked', async (t) => {
  const { context, hub } = await prepare(t)
  const at = (settings: object) =>
    bringBackbone(parseName('some/tiny')!, {}, { ...context, hub: { ...context.hub, ...settings } })
  await hub.stop()
  await t.throwsAsync(at({}), {
    code: 'ERR_BACKBONE_UNREACHABLE',
    message: /refused \(ECONNREFUSED\)/,
  })
  await t.throwsAsync(at({ offline: true }), { code: 'ERR_BACKBONE_OFFLINE', message: /HF_HUB_OFFLINE/ })
})

test('files with tensors beside the model come too', async (t) => {
  const made = await temporaryFolder(t)
  const whole = await readModel(packagePath('test', 'golden', 'sdpa', 'model.onnx'))
  await writeModel(whole, join(made, 'model.onnx'), { external: true })
  const parts = {
    'onnx/model.onnx': await readFile(join(made, 'model.onnx')),
    'onnx/model.onnx_data': await readFile(join(made, 'model.onnx_data')),
  }
  const { folder, bring } = await prepare(t, { ...files, ...parts })
  const fetched = (await bring()) as { sha256: string }
  const backbone = await loadBackbone(folder, { verify: false })
  t.is(backbone.sha256, fetched.sha256)
  t.is(backbone.config.layers, 2)

  const lacking = await prepare(t, { ...files, 'onnx/model.onnx': parts['onnx/model.onnx'] })
  await t.throwsAsync(lacking.bring(), { code: 'ERR_BACKBONE_NO_MODEL', message: /model\.onnx_data/ })
})

const published = { 'config.json': JSON.stringify(tinyConfig), 'tokenizer.json': tokenizer }

test('weights without an ONNX file are converted', async (t) => {
  const weights = { content: safetensorsBytes(tinyWeights('bert.')), lfs: true }
  const { folder, bring } = await prepare(t, { ...published, 'model.safetensors': weights })
  const events: FetchEvent[] = []
  await bring({ onProgress: (event) => events.push(event) })
  t.true(events.some(({ kind }) => kind === 'convert'))
  t.deepEqual((await readdir(folder)).sort(), ['backbone.json', 'config.json', 'model.onnx', 'tokenizer.json'])
  t.like((await loadBackbone(folder, { verify: false })).config, { layers: 2, hidden: 32, pooler: true })
})

test('weights in several files are converted', async (t) => {
  const all = [...tinyWeights()]
  const [first, second] = [new Map(all.slice(0, 20)), new Map(all.slice(20))]
  const map = (tensors: Iterable<string>, file: string) => [...tensors].map((name) => [name, file] as const)
  const index = Object.fromEntries([
    ...map(first.keys(), 'model-00001-of-00002.safetensors'),
    ...map(second.keys(), 'model-00002-of-00002.safetensors'),
  ])
  const { folder, bring } = await prepare(t, {
    ...published,
    'model.safetensors.index.json': JSON.stringify({ weight_map: index }),
    'model-00001-of-00002.safetensors': safetensorsBytes(first),
    'model-00002-of-00002.safetensors': safetensorsBytes(second),
  })
  const { sha256: sharded } = (await bring()) as { sha256: string }
  const whole = await prepare(t, { ...published, 'model.safetensors': safetensorsBytes(tinyWeights()) })
  t.is(((await whole.bring()) as { sha256: string }).sha256, sharded)
  t.is((await loadBackbone(folder, { verify: false })).sha256, sharded)
})

test('weights of another kind are not even downloaded', async (t) => {
  const other = { 'config.json': JSON.stringify({ ...tinyConfig, model_type: 't5' }), 'model.safetensors': 'large' }
  const { hub, bring } = await prepare(t, other)
  const events: FetchEvent[] = []
  const error = await t.throwsAsync(bring({ onProgress: (event) => events.push(event) }), {
    code: 'ERR_BACKBONE_UNSUPPORTED',
    message: /"model_type" must be one of bert.*"t5"/,
  })
  t.like(error, { details: { field: 'model_type' } })
  t.is(hub.downloads('model.safetensors').length, 0)
  t.true(events.some((event) => event.kind === 'warning' && /no tokenizer\.json/.test(event.message)))
})

test('a model that is none is called that', async (t) => {
  const { bring } = await prepare(t, { ...files, 'model.onnx': 'version https://git-lfs.github.com/spec/v1' })
  await t.throwsAsync(bring(), { code: 'ERR_ONNX_FORMAT', message: /not an ONNX model/ })
})

test('a repository without a model', async (t) => {
  const { bring } = await prepare(t, { ...files, 'pytorch_model.bin': 'pickled' })
  await t.throwsAsync(bring(), { code: 'ERR_BACKBONE_NO_MODEL', message: /neither model\.onnx nor onnx\/model\.onnx/ })
})

test('two at once bring it once', async (t) => {
  const scene = await prepare(t)
  scene.hub.fault = (request, before) => (onlyModel(request) && before === 0 ? { cutAfter: 50_000 } : undefined)
  const waited: FetchEvent[] = []
  const onProgress = (event: FetchEvent) => {
    if (event.kind === 'waiting') waited.push(event)
  }
  const results = (await Promise.all([1, 2, 3].map(() => scene.bring({ onProgress })))) as { cached: boolean }[]
  t.deepEqual(results.map(({ cached }) => cached).sort(), [false, true, true])
  t.deepEqual(
    waited,
    [1, 2].map(() => ({ kind: 'waiting', name: 'some/tiny' }) as const),
  )
  t.is(scene.hub.downloads('store/some/tiny/onnx/model.onnx').length, 2)
})

test('a cache that cannot be written says what to do', async (t) => {
  const { context, hub } = await prepare(t)
  const file = join(await temporaryFolder(t), 'file')
  await writeFile(file, '')
  const error = await t.throwsAsync(bringBackbone(parseName('some/tiny')!, {}, { ...context, cache: file }), {
    code: 'ERR_BACKBONE_CACHE',
    message: /ONNX_ADAPTERS_CACHE/,
  })
  t.like(error, { details: { folder: file, reason: 'ENOTDIR' } })
  t.is(hub.requests.length, 0)
})

testUnless(noMount, 'a cache that is read-only gives what it has, and takes nothing', async (t) => {
  const scene = await prepare(t)
  const disk = await smallDisk(t, '1m')
  const context = { ...scene.context, cache: disk }
  const first = await bringBackbone(parseName('some/tiny')!, {}, context)
  makeReadOnly(disk)
  t.deepEqual(await bringBackbone(parseName('some/tiny')!, {}, context), { ...first, cached: true })
  const error = await t.throwsAsync(bringBackbone(parseName('other/tiny')!, {}, context), {
    code: 'ERR_BACKBONE_CACHE',
    message: /is read-only \(EROFS.*ONNX_ADAPTERS_CACHE/,
  })
  t.like(error, { details: { folder: disk, reason: 'EROFS' } })
})

testUnless(noMount, 'a disk that fills up says so, and goes on when there is room', async (t) => {
  const scene = await prepare(t)
  const disk = await smallDisk(t, '96k')
  const context = { ...scene.context, cache: disk }
  const error = await t.throwsAsync(bringBackbone(parseName('some/tiny')!, {}, context), {
    code: 'ERR_BACKBONE_CACHE',
    message: /no space is left.*ENOSPC.*has room/,
  })
  t.like(error, { details: { folder: disk, reason: 'ENOSPC' } })
  t.is(scene.hub.downloads('store/some/tiny/onnx/model.onnx').length, 1)
  execFileSync('mount', ['-o', 'remount,size=1m', disk])
  await bringBackbone(parseName('some/tiny')!, {}, context)
  t.regex(scene.hub.downloads('store/some/tiny/onnx/model.onnx').at(-1)!.range!, /^bytes=\d{5}-$/)
})

test('a folder that somebody put into the cache counts', async (t) => {
  const { context, folder, bring } = await prepare(t)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'model.onnx'), model)
  t.like(await bring(), { source: 'folder', sha256: sha256(model), bytes: model.length, cached: true })
  const own = join(context.cache, 'backbones', 'mine')
  await mkdir(own, { recursive: true })
  await writeFile(join(own, 'model.onnx'), model)
  t.like(await bringBackbone(parseName('mine')!, {}, context), { name: 'mine', folder: own })
  await t.throwsAsync(bringBackbone(parseName('yours')!, {}, context), { code: 'ERR_BACKBONE_NAME' })
})

test('what is no name, and options that are none', async (t) => {
  const fetch = fetchBackbone as (...args: unknown[]) => Promise<unknown>
  const fails = (args: unknown[], message: RegExp) => t.throwsAsync(fetch(...args), { code: 'ERR_OPTION', message })
  await fails([], /"name" must be the name of a backbone, not undefined/)
  await fails(['some/tiny', { signals: 1 }], /unknown option "signals"; did you mean "signal"/)
  await fails(['some/tiny', { signal: 1 }], /"signal" must be an AbortSignal, not 1/)
  await fails(['some/tiny', { onProgress: 1 }], /"onProgress" must be a function, not 1/)
})
