import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { hashFiles } from '../../lib/backbone/hash.js'
import { runtimeVersion, verifyAgainstRuntime, type VerifySubject } from '../../lib/backbone/verify.js'
import { inspect, loadBackbone } from '../../lib/index.js'
import { encodeModel } from '../../lib/onnx/write.js'
import { readModel } from '../../lib/onnx/read.js'
import { temporaryFolder, tinyBackbone } from '../support/folder.js'
import { packagePath, sharedMissing, sharedPath } from '../support/shared.js'

const installed = runtimeVersion() !== undefined
const name = (text: string) => (installed ? text : `${text}: not run, onnxruntime-node is not installed`)

/** The tiny encoder, with a cache of this test's own. */
async function subject(
  t: Parameters<typeof temporaryFolder>[0],
  file = packagePath('test', 'golden', 'sdpa', 'model.onnx'),
): Promise<VerifySubject> {
  process.env['XDG_CACHE_HOME'] = await temporaryFolder(t)
  const backbone = await loadBackbone(file, { verify: false })
  const encoder = await backbone.encoder({ threads: 1 })
  t.teardown(() => encoder.dispose())
  const { hiddenOutput, inputNames } = backbone.imported
  return {
    file,
    value: hiddenOutput,
    inputNames,
    sha256: backbone.sha256,
    half: false,
    vocabulary: 50,
    positions: 16,
    tokenTypes: 2,
    encode: (rows) => encoder.encode(rows),
  }
}

test.serial(name('a right import is within the bound, and remembered'), async (t) => {
  if (!installed) return t.pass()
  const right = await subject(t)
  const first = await verifyAgainstRuntime(right)
  t.true(first.maxAbsDifference! < 2e-5)
  t.is(first.warning, undefined)
  t.is((await readdir(join(process.env['XDG_CACHE_HOME']!, 'onnx-adapters', 'verified'))).length, 1)
  const never = () => Promise.reject(new Error('computed again'))
  t.deepEqual(await verifyAgainstRuntime({ ...right, encode: never }), first)
})

test.serial(name('an import that computes something else stops'), async (t) => {
  if (!installed) return t.pass()
  const right = await subject(t)
  const off = (by: number) => async (rows: Parameters<VerifySubject['encode']>[0]) => {
    const hidden = await right.encode(rows)
    hidden[0]![5]! += by
    return hidden
  }
  await t.throwsAsync(verifyAgainstRuntime({ ...right, encode: off(7.6e-4) }), { code: 'ERR_ONNX_DIFFERS' })
  await t.throwsAsync(verifyAgainstRuntime({ ...right, encode: off(NaN) }), { code: 'ERR_ONNX_DIFFERS' })
  t.regex((await verifyAgainstRuntime({ ...right, sha256: '1', encode: off(9.5e-5) })).warning!, /more than usual/)
})

test.serial(name('a file that keeps its hidden states to itself'), async (t) => {
  if (!installed) return t.pass()
  const model = await readModel(packagePath('test', 'golden', 'sdpa', 'model.onnx'))
  const inner = await subject(t)
  const last = model.graph!.output.find((output) => output.name === inner.value)!
  // Another output after it: the hidden states become an inner value.
  model.graph!.node.push({ opType: 'Identity', name: 'after', input: [inner.value], output: ['after'], attribute: [] })
  model.graph!.output = [{ ...last, name: 'after' }]
  const folder = await temporaryFolder(t)
  const file = join(folder, 'model.onnx')
  await writeFile(file, encodeModel(model))
  const { maxAbsDifference, warning } = await verifyAgainstRuntime({ ...inner, file, sha256: await hashFiles([file]) })
  t.is(warning, undefined)
  t.true(maxAbsDifference! < 2e-5)
  t.deepEqual(await readdir(folder), ['model.onnx'])
})

test.serial(name('a reference that cannot be had is a warning'), async (t) => {
  if (!installed) return t.pass()
  const right = await subject(t)
  const { maxAbsDifference, warning } = await verifyAgainstRuntime({ ...right, value: 'nothing', sha256: '2' })
  t.is(maxAbsDifference, undefined)
  t.regex(warning!, /not compared.*"nothing"/)
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
  if (installed) t.true(inspection.maxAbsDifference! < 2e-5)
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

test.serial(
  sharedPath('fixtures') && installed
    ? 'files of many exporters agree'
    : `files of many exporters are not compared: ${sharedMissing}`,
  async (t) => {
    if (!sharedPath('fixtures') || !installed) return t.pass()
    t.timeout(300_000)
    process.env['XDG_CACHE_HOME'] = await temporaryFolder(t)
    for (const fixture of fixtures) {
      const backbone = await loadBackbone(sharedPath('fixtures', fixture)!)
      const { maxAbsDifference, warning } = await backbone.verify()
      t.is(warning, undefined, fixture)
      t.true(maxAbsDifference! < (fixture === 'bert-fp16' ? 2e-2 : 2e-5), `${fixture}: ${maxAbsDifference}`)
    }
  },
)

test('a hash over several files is that of their bytes', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'a'), 'ab')
  await writeFile(join(folder, 'b'), 'c')
  await writeFile(join(folder, 'c'), 'abc')
  t.is(await hashFiles([join(folder, 'a'), join(folder, 'b')]), await hashFiles([join(folder, 'c')]))
  t.is((await readFile(join(folder, 'c'), 'utf8')).length, 3)
})
