/** An exported folder in a page of headless Chromium, by transformers.js and by onnxruntime-web alone. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { exportRun, loadBackbone, Predictor } from '../../lib/index.js'
import { makeRun } from '../support/exported.js'
import { temporaryFolder, wholeBackbone } from '../support/folder.js'
import { largestGap, runLogits } from '../support/hf_model.js'
import { serialTestUnless } from '../support/unless.js'
import { chromium, runInPage } from './page.js'

const place = process.env['ONNX_ADAPTERS_TRANSFORMERS_JS'] ?? ''
const modules = join(place, 'node_modules')
const library = join(modules, '@huggingface', 'transformers', 'dist')
const runtime = join(modules, 'onnxruntime-web', 'dist')
const missing =
  place === '' || !existsSync(library) || !existsSync(runtime)
    ? 'ONNX_ADAPTERS_TRANSFORMERS_JS names no folder with @huggingface/transformers'
    : chromium === undefined
      ? 'no Chromium is installed (ONNX_ADAPTERS_CHROMIUM names one)'
      : undefined

async function prepare(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  const source = await wholeBackbone(join(folder, 'backbone'))
  const backbone = await loadBackbone(source, { verify: false })
  const run = await makeRun(join(folder, 'run'), backbone)
  return { folder, backbone, run }
}

serialTestUnless(missing, 'transformers.js in a page says what the engine says', async (t) => {
  t.timeout(300_000)
  const { folder, backbone, run } = await prepare(t)
  const models = join(folder, 'models')
  await exportRun(run, { to: 'transformers.js', output: join(models, 'colours'), backbone })
  const texts = ['the red cat sees a dog .', 'a blue bird', 'one green cat sees the red dog', 'two']
  const script = `
// An import that fails is an error that the page tells of only where it is made at run time.
const { env, pipeline } = await import('/library/transformers.min.js')
Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: '/models/' })
env.backends.onnx.wasm.wasmPaths = '/runtime/'
env.backends.onnx.wasm.numThreads = 1
const classify = await pipeline('text-classification', 'colours', { device: 'wasm', dtype: 'fp32' })
await answer(await classify(${JSON.stringify(texts)}, { top_k: 1 }))`
  const found = await runInPage(script, { library, runtime, models })
  await using predictor = await Predictor.load(run, { backbone, threads: 1 })
  const expected = await predictor.predict(texts)
  t.true(Array.isArray(found), JSON.stringify(found))
  const outputs = (found as ({ label: string; score: number } | { label: string; score: number }[])[]).flat()
  t.deepEqual(
    outputs.map(({ label }) => label),
    expected.map(({ label }) => label),
  )
  for (const [i, { score }] of outputs.entries())
    t.true(Math.abs(score - expected[i]!.scores![expected[i]!.label!]!) < 1e-5)
})

serialTestUnless(missing, 'onnxruntime-web in a page gives the logits of an exported model', async (t) => {
  t.timeout(300_000)
  const { folder, backbone, run } = await prepare(t)
  const models = join(folder, 'models')
  await exportRun(run, { to: 'onnx', output: join(models, 'model.onnx'), backbone })
  const ids = [
    [2, 5, 9, 3],
    [2, 7, 3],
  ]
  const script = `
const ort = await import('/runtime/ort.wasm.min.mjs')
ort.env.wasm.wasmPaths = '/runtime/'
ort.env.wasm.numThreads = 1
const session = await ort.InferenceSession.create('/models/model.onnx')
const found = []
for (const ids of ${JSON.stringify(ids)}) {
  const of = (value) => new ort.Tensor('int64', BigInt64Array.from(ids, value), [1, ids.length])
  const all = { input_ids: of(BigInt), attention_mask: of(() => 1n), token_type_ids: of(() => 0n) }
  const feeds = Object.fromEntries(session.inputNames.map((name) => [name, all[name]]))
  const { logits } = await session.run(feeds)
  found.push([...logits.data])
}
await answer(found)`
  const found = await runInPage(script, { runtime, models })
  t.true(Array.isArray(found), JSON.stringify(found))
  t.true(largestGap(await runLogits(run, backbone, ids), found as number[][]) < 1e-5)
})
