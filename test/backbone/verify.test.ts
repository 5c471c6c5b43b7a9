import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { askChild } from '../../lib/backbone/child.js'
import { hashFiles } from '../../lib/backbone/hash.js'
import { verifyAgainstRuntime, type VerifySubject } from '../../lib/backbone/verify.js'
import { inspect, loadBackbone, type Inspection } from '../../lib/index.js'
import { encodeModel } from '../../lib/onnx/write.js'
import { readModel } from '../../lib/onnx/read.js'
import { temporaryFolder, tinyBackbone } from '../support/folder.js'
import { lacksShared, packagePath, sharedPath } from '../support/shared.js'
import { lacksRuntime, serialTestUnless, testUnless } from '../support/unless.js'

const execute = promisify(execFile)
const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))

/** The tiny encoder, with a cache of this test's own. */
async function subject(
  t: Parameters<typeof temporaryFolder>[0],
  file = packagePath('test', 'golden', 'sdpa', 'model.onnx'),
): Promise<VerifySubject> {
  process.env['XDG_CACHE_HOME'] = await temporaryFolder(t)
  const backbone = await loadBackbone(file, { verify: false })
  const encoder = await backbone.encoder({ threads: 1 })
  t.teardown(() => encoder.dispose())
  const { hiddenOutput, hiddenIsGraphOutput, inputNames } = backbone.imported
  return {
    file,
    value: hiddenOutput,
    isGraphOutput: hiddenIsGraphOutput,
    inputNames,
    sha256: backbone.sha256,
    half: false,
    vocabulary: 50,
    positions: 16,
    tokenTypes: 2,
    encode: (rows) => encoder.encode(rows),
  }
}

serialTestUnless(lacksRuntime, 'a right import is within the bound, and remembered', async (t) => {
  const right = await subject(t)
  const first = await verifyAgainstRuntime(right)
  t.true(first.maxAbsDifference! < 2e-5)
  t.is(first.warning, undefined)
  t.is((await readdir(verifiedFolder())).length, 1)
  const never = () => Promise.reject(new Error('computed again'))
  t.deepEqual(await verifyAgainstRuntime({ ...right, encode: never }), first)
})

test('a child that gives no answer is ended', async (t) => {
  const script = join(await temporaryFolder(t), 'silent.mjs')
  await writeFile(script, "process.on('message', () => setInterval(() => {}, 1000))")
  const answer = await askChild(pathToFileURL(script), {}, 500)
  t.deepEqual(answer, { kind: 'failed', reason: 'the process gave no answer in 0.5 seconds and was ended' })
})

/** Where results are remembered. */
function verifiedFolder(): string {
  return join(process.env['XDG_CACHE_HOME']!, 'onnx-adapters', 'verified')
}

/** An encoder that is off by so much in one value of every row. */
function off({ encode }: VerifySubject, by: number): VerifySubject['encode'] {
  return async (rows) => {
    const hidden = await encode(rows)
    hidden[0]![5]! += by
    return hidden
  }
}

serialTestUnless(lacksRuntime, 'an import that computes something else stops', async (t) => {
  const right = await subject(t)
  const wrong = { ...right, encode: off(right, 7.6e-4) }
  await t.throwsAsync(verifyAgainstRuntime(wrong), { code: 'ERR_ONNX_DIFFERS' })
  await t.throwsAsync(verifyAgainstRuntime({ ...right, encode: off(right, NaN) }), { code: 'ERR_ONNX_DIFFERS' })
  const odd = await verifyAgainstRuntime({ ...right, sha256: '1', encode: off(right, 9.5e-5) })
  t.regex(odd.warning!, /more than usual/)
})

for (const { half, bound } of [
  { half: false, bound: 1e-4 },
  { half: true, bound: 2e-2 },
]) {
  const title = `${half ? 'float16' : 'float32'} weights may be off by ${bound} of the largest value`
  serialTestUnless(lacksRuntime, title, async (t) => {
    const right = { ...(await subject(t)), half }
    await verifyAgainstRuntime(right)
    const [remembered] = await readdir(verifiedFolder())
    const { largest } = JSON.parse(await readFile(join(verifiedFolder(), remembered!), 'utf8')) as { largest: number }
    const limit = bound * Math.max(1, largest)
    const check = (share: number) =>
      verifyAgainstRuntime({ ...right, sha256: String(share), encode: off(right, share * limit) })
    const { maxAbsDifference, warning } = await check(0.9)
    t.true(Math.abs(maxAbsDifference! - 0.9 * limit) < 1e-5)
    // Rounded weights differ by more than rounded sums: that is worth a word only where weights are float32.
    t.is(warning === undefined, half)
    const error = await t.throwsAsync<Error & { details: Record<string, unknown> }>(check(1.1), {
      code: 'ERR_ONNX_DIFFERS',
    })
    t.true(Math.abs(Number(error?.details['expected']) / limit - 1) < 1e-5)
  })
}

serialTestUnless(lacksRuntime, 'a file that keeps its hidden states to itself', async (t) => {
  const model = await readModel(packagePath('test', 'golden', 'sdpa', 'model.onnx'))
  const inner = await subject(t)
  const last = model.graph!.output.find((output) => output.name === inner.value)!
  // Another output after it: the hidden states become an inner value.
  model.graph!.node.push({ opType: 'Identity', name: 'after', input: [inner.value], output: ['after'], attribute: [] })
  model.graph!.output = [{ ...last, name: 'after' }]
  const folder = await temporaryFolder(t)
  const file = join(folder, 'model.onnx')
  await writeFile(file, encodeModel(model))
  const sha256 = await hashFiles([file])
  const { maxAbsDifference, warning } = await verifyAgainstRuntime({ ...inner, file, isGraphOutput: false, sha256 })
  t.is(warning, undefined)
  t.true(maxAbsDifference! < 2e-5)
  t.deepEqual(await readdir(folder), ['model.onnx'])
})

serialTestUnless(lacksRuntime, 'a reference that cannot be had is a warning', async (t) => {
  const right = await subject(t)
  for (const isGraphOutput of [true, false]) {
    const lost = { ...right, value: 'nothing', isGraphOutput, sha256: '2' }
    const { maxAbsDifference, warning } = await verifyAgainstRuntime(lost)
    t.is(maxAbsDifference, undefined)
    t.regex(warning!, /not compared.*nothing/)
  }
})

test.serial('a cache that cannot be written is no error', async (t) => {
  const right = await subject(t)
  const file = join(await temporaryFolder(t), 'file')
  await writeFile(file, '')
  process.env['XDG_CACHE_HOME'] = file
  await t.notThrowsAsync(verifyAgainstRuntime(right))
})

test.serial('inspect says what the importer sees', async (t) => {
  process.env['XDG_CACHE_HOME'] = await temporaryFolder(t)
  const inspection = await inspect(await tinyBackbone(await temporaryFolder(t)))
  t.like(inspection, {
    architecture: 'bert',
    layers: 2,
    hidden: 32,
    heads: 4,
    feedForward: 48,
    activation: 'gelu',
    vocabulary: 50,
    positions: 16,
  })
  t.is(inspection.trainedParameters['8'], 4 * 552 + 5 * 64)
  if (!lacksRuntime) t.true(inspection.maxAbsDifference! < 2e-5)
})

const fixtures = [
  'bert-legacy14-eager',
  'bert-legacy14-static',
  'bert-extdata',
  'bert-fp16',
  'bert-hubera-ortopt',
  'bert-mlm-legacy14-eager',
  'bert-legacy17-idsonly',
  'distilbert-dynamo18-sdpa',
  'roberta-optimum',
  'electra-hubera14',
]

const fixtureFolder = sharedPath('fixtures')

serialTestUnless(lacksShared(fixtureFolder) ?? lacksRuntime, 'files of many exporters agree', async (t) => {
  t.timeout(300_000)
  process.env['XDG_CACHE_HOME'] = await temporaryFolder(t)
  for (const fixture of fixtures) {
    const backbone = await loadBackbone(join(fixtureFolder!, fixture))
    const { maxAbsDifference, warning } = await backbone.verify()
    t.is(warning, undefined, fixture)
    t.true(maxAbsDifference! < (fixture === 'bert-fp16' ? 2e-2 : 2e-5), `${fixture}: ${maxAbsDifference}`)
  }
})

/** Loaded before the command line, these make a machine on which onnxruntime-node is not there, or not whole. */
const absences = {
  'is not installed (ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node)': `
    const Module = require('node:module')
    const resolve = Module._resolveFilename
    Module._resolveFilename = function (request, ...rest) {
      if (request.startsWith('onnxruntime-node')) throw Object.assign(new Error('absent'), { code: 'MODULE_NOT_FOUND' })
      return resolve.call(this, request, ...rest)
    }`,
  'cannot be loaded: its library is gone': `
    const open = process.dlopen
    process.dlopen = function (module, file, ...rest) {
      const asked = process.env.ORT_DISABLE_TELEMETRY === '1'
      if (file.includes('onnxruntime')) throw new Error(asked ? 'its library is gone' : 'it may report its use')
      return open.call(this, module, file, ...rest)
    }`,
}

for (const [what, preload] of Object.entries(absences)) {
  const reason = what.startsWith('cannot') ? lacksRuntime : undefined
  testUnless(reason, `where onnxruntime-node ${what}, models are used without the comparison`, async (t) => {
    const folder = await temporaryFolder(t)
    const backbone = await tinyBackbone(join(folder, 'backbone'))
    await writeFile(join(folder, 'preload.cjs'), preload)
    const env = {
      ...process.env,
      XDG_CACHE_HOME: folder,
      NODE_OPTIONS: `--require ${JSON.stringify(join(folder, 'preload.cjs'))}`,
    }
    const { stdout, stderr } = await execute(process.execPath, [main, 'inspect', backbone, '--json'], { env })
    const { layers, maxAbsDifference, warning } = JSON.parse(stdout) as Inspection
    t.is(layers, 2)
    t.is(maxAbsDifference, null)
    t.true(
      warning?.startsWith(`the imported encoder was not compared with ONNX Runtime: onnxruntime-node ${what}`),
      warning,
    )
    t.is(stderr, `warning: ${warning}\n`)
    t.deepEqual(await readdir(folder), ['backbone', 'preload.cjs'], 'nothing is remembered')
  })
}

test('a hash over several files is that of their bytes', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'a'), 'ab')
  await writeFile(join(folder, 'b'), 'c')
  await writeFile(join(folder, 'c'), 'abc')
  t.is(await hashFiles([join(folder, 'a'), join(folder, 'b')]), await hashFiles([join(folder, 'c')]))
  t.is(await hashFiles([Buffer.from('ab'), join(folder, 'b')]), await hashFiles([join(folder, 'c')]))
  t.is((await readFile(join(folder, 'c'), 'utf8')).length, 3)
})
