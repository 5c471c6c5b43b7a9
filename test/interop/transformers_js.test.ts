/**
 * Folders that were exported for transformers.js, in the real package: set ONNX_ADAPTERS_TRANSFORMERS_JS to a folder in
 * which `npm install @huggingface/transformers` was run.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { loadBackbone } from '../../lib/backbone/load.js'
import { exportRun } from '../../lib/export/export.js'
import { Predictor } from '../../lib/predict/predictor.js'
import type { TaskKind } from '../../lib/kinds.js'
import { makeRun, madeTasks } from '../support/exported.js'
import { colourRows, temporaryFolder, wholeBackbone } from '../support/folder.js'
import { serialTestUnless } from '../support/unless.js'

const place = process.env['ONNX_ADAPTERS_TRANSFORMERS_JS'] ?? ''
const library = join(place, 'node_modules', '@huggingface', 'transformers')
const missing =
  place !== '' && existsSync(library)
    ? undefined
    : 'ONNX_ADAPTERS_TRANSFORMERS_JS names no folder with @huggingface/transformers'

type Pipeline = (...inputs: unknown[]) => Promise<unknown>
interface Output {
  readonly label: string
  readonly score: number
}

/** As a program offline would load it. */
async function loadPipeline(task: string, folder: string): Promise<Pipeline> {
  const file = join(library, 'dist', 'transformers.node.mjs')
  const { pipeline, env } = (await import(pathToFileURL(file).href)) as {
    pipeline: (task: string, path: string) => Promise<Pipeline>
    env: { allowRemoteModels: boolean }
  }
  env.allowRemoteModels = false
  return pipeline(task, folder)
}

async function prepare(t: ExecutionContext, kind: TaskKind) {
  const folder = await temporaryFolder(t)
  const source = await wholeBackbone(join(folder, 'backbone'))
  const backbone = await loadBackbone(source, { verify: false })
  const run = await makeRun(join(folder, 'run'), backbone, { task: madeTasks[kind], pool: 'mean' })
  const output = join(folder, 'transformers.js')
  await exportRun(run, { to: 'transformers.js', output, backbone })
  const predictor = await Predictor.load(run, { backbone })
  t.teardown(() => predictor.dispose())
  return { output, predictor }
}

/** They fit: of longer ones that library cuts the last special token off too. */
const texts = [...colourRows(9).map(({ text }) => text), 'red', 'the cat sees a dog sees a bird .']

for (const kind of ['classification', 'multilabel'] as const) {
  serialTestUnless(missing, `${kind}: the same scores`, async (t) => {
    const { output, predictor } = await prepare(t, kind)
    const classify = await loadPipeline('text-classification', output)
    const theirs = (await classify(texts, { top_k: null })) as Output[][]
    const ours = await predictor.predict(texts)
    for (const [i, { scores = {} }] of ours.entries()) {
      t.is(theirs[i]!.length, Object.keys(scores).length)
      for (const { label, score } of theirs[i]!)
        t.true(Math.abs(score - scores[label]!) < 1e-5, `${i} ${label}: ${score}, not ${scores[label]}`)
    }
  })
}

serialTestUnless(missing, 'token: the same tags', async (t) => {
  const { output, predictor } = await prepare(t, 'token')
  const tag = await loadPipeline('token-classification', output)
  for (const text of texts) {
    const theirs = (await tag(text, { ignore_labels: [] })) as { word: string; entity: string }[]
    const [prediction] = await predictor.predict([text])
    const { tokens = [], tags = [] } = prediction!
    t.deepEqual(
      theirs.map(({ word, entity }) => [word, entity]),
      tokens.map((word, i) => [word, tags[i]!]),
    )
  }
})

serialTestUnless(missing, 'span: the same answer', async (t) => {
  const { output, predictor } = await prepare(t, 'span')
  const answer = await loadPipeline('question-answering', output)
  const context = 'the red cat sees a blue dog .'
  for (const question of ['cat', 'the dog', 'sees']) {
    const theirs = (await answer(question, context)) as { answer: string }
    const [prediction] = await predictor.predict([{ question, context }])
    t.is(theirs.answer, prediction!.span!.text)
  }
})

test('the library is asked for by name', (t) => {
  t.true(missing === undefined || missing.includes('@huggingface/transformers'))
})
