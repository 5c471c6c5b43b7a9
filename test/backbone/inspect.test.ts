/** What inspect says of the real backbone; tests of the tiny one are beside those of the check it runs. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { inspect, loadBackbone, OptionError, type ImportExplanation, type Inspection } from '../../lib/index.js'
import { temporaryFolder, tinyBackbone } from '../support/folder.js'
import { writeModel } from '../../lib/onnx/write.js'
import { tinyBert, type ModelBuilder } from '../support/onnx_models.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { lacksRuntime, testUnless } from '../support/unless.js'

const run = promisify(execFile)
const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))

const miniLm = sharedPath('models', 'all-MiniLM-L6-v2')

const layerNorms = 13 * 2 * 384
const adapters = (size: number) => 12 * (2 * 384 * size + 384 + size)

testUnless(lacksShared(miniLm), 'the counts of MiniLM', async (t) => {
  t.deepEqual([adapters(64), layerNorms], [595_200, 9_984])
  t.deepEqual(await inspect(miniLm!, { verify: false }), {
    architecture: 'bert',
    layers: 6,
    hidden: 384,
    heads: 12,
    feedForward: 1536,
    activation: 'gelu',
    vocabulary: 30_522,
    positions: 512,
    pooler: true,
    parameters: 22_713_216,
    trainedParameters: { 8: adapters(8) + layerNorms, 64: adapters(64) + layerNorms, 256: adapters(256) + layerNorms },
    maxAbsDifference: null,
  })
})

testUnless(
  lacksShared(miniLm) ?? lacksRuntime,
  'MiniLM as ONNX Runtime computes it, from the command line',
  async (t) => {
    // A cache of its own, so that the comparison is made and not remembered.
    const env = { ...process.env, XDG_CACHE_HOME: await temporaryFolder(t) }
    const { stdout, stderr } = await run(process.execPath, [main, 'inspect', miniLm!, '--json'], { env })
    t.is(stderr, '')
    const { parameters, trainedParameters, maxAbsDifference } = JSON.parse(stdout) as Inspection
    t.is(parameters, 22_713_216)
    t.is(trainedParameters['64'], 605_184)
    t.true(maxAbsDifference! > 0 && maxAbsDifference! <= 2e-5, String(maxAbsDifference))
  },
)

const activation = (b: ModelBuilder, x: string) => b.add('Sin', [x])

test('why a file does not lift', async (t) => {
  const folder = await temporaryFolder(t)
  await writeModel(tinyBert({ activation }), join(folder, 'model.onnx'))
  await t.throwsAsync(inspect(folder), { code: 'ERR_ONNX_UNSUPPORTED' })
  const said = (await inspect(folder, { explain: true })) as ImportExplanation
  t.like(said, { code: 'ERR_ONNX_UNSUPPORTED', operator: 'Sin', layers: 0 })
  const failed = (args: string[]) =>
    t.throwsAsync(run(process.execPath, [main, 'inspect', folder, '--explain', ...args])) as Promise<
      Error & { stdout: string; code: number }
    >
  const text = await failed([])
  t.is(text.code, 1)
  t.regex(text.stdout, /nearest match +layer 0, .*feed-forward/)
  t.regex(text.stdout, /^> .* = Sin\(/m)
  const { stdout } = await failed(['--json'])
  t.deepEqual(JSON.parse(stdout), said)
})

test('a file that lifts is described as ever where an explanation is asked for', async (t) => {
  const folder = await tinyBackbone(await temporaryFolder(t))
  const options = { verify: false, explain: true }
  t.deepEqual(await inspect(folder, options), await inspect(folder, { verify: false }))
  await t.throwsAsync(inspect(folder, { explain: 'yes' } as never), { code: 'ERR_OPTION', message: /"explain"/ })
})

test('a misspelt option', async (t) => {
  const backbone = await tinyBackbone(await temporaryFolder(t))
  await t.throwsAsync(inspect(backbone, { verfy: false } as never), { code: 'ERR_OPTION', message: /"verify"/ })
})

test('what is no path, and options that are none', async (t) => {
  for (const load of [loadBackbone, inspect]) {
    for (const path of [undefined, null, 3, '', ['folder'], {}])
      await t.throwsAsync(load(path as never), { instanceOf: OptionError, code: 'ERR_OPTION', message: /"path"/ })
    await t.throwsAsync(load('folder', null as never), { code: 'ERR_OPTION', message: /expected an object, got null/ })
    await t.throwsAsync(load('folder', { verify: 'no' } as never), { code: 'ERR_OPTION', message: /true or false/ })
    await t.throwsAsync(load('folder', { verfy: true } as never), { code: 'ERR_OPTION', message: /"verify"/ })
  }
})
