/** Round trips with Python's `peft`: see scripts/interop.mjs. */
import { join } from 'node:path'
import { exportRun, importAdapter } from '../../lib/index.js'
import { madeTasks, makeRun } from '../support/exported.js'
import { temporaryFolder } from '../support/folder.js'
import { largestGap, runLogits, someIds, writeHfModel } from '../support/hf_model.js'
import { lacksPython, runJobs } from '../support/python.js'
import { serialTestUnless } from '../support/unless.js'

const missing = lacksPython('torch', 'transformers', 'peft')
const budget = 1e-5
const autos = {
  classification: 'AutoModelForSequenceClassification',
  multilabel: 'AutoModelForSequenceClassification',
  token: 'AutoModelForTokenClassification',
  span: 'AutoModelForQuestionAnswering',
} as const
const kinds = Object.keys(autos) as (keyof typeof autos)[]

serialTestUnless(missing, 'LayerNorms and head predict the same there', async (t) => {
  const folder = await temporaryFolder(t)
  const { folder: model, backbone } = await writeHfModel(join(folder, 'model'))
  const jobs: object[] = []
  const ours: number[][][] = []
  for (const kind of kinds) {
    const made = { task: madeTasks[kind], pool: 'pooler', trainable: ['layerNorm', 'head'] } as const
    const run = await makeRun(join(folder, 'runs', kind), backbone, made)
    const path = join(folder, 'peft', kind)
    await exportRun(run, { to: 'peft', output: path, backbone })
    jobs.push({ do: 'peft-load', model, path, auto: autos[kind], labels: 3, ids: someIds, types: true })
    ours.push(await runLogits(run, backbone))
  }
  const theirs = await runJobs(jobs)
  for (const [i, kind] of kinds.entries()) {
    const gap = largestGap(ours[i]!, theirs[i]!)
    t.true(gap <= budget, `${kind}: ${gap}`)
  }
})

serialTestUnless(missing, 'what that library writes is read', async (t) => {
  const folder = await temporaryFolder(t)
  const { folder: model, backbone } = await writeHfModel(join(folder, 'model'))
  const types = { classification: 'SEQ_CLS', token: 'TOKEN_CLS', span: 'QUESTION_ANS' } as const
  const saved = Object.entries(types) as [keyof typeof types, string][]
  const jobs = saved.map(([kind, type]) => ({
    do: 'peft-save',
    model,
    path: join(folder, 'peft', kind),
    auto: autos[kind],
    labels: 3,
    ids: someIds,
    types: true,
    config: {
      task_type: type,
      target_modules: ['LayerNorm'],
      modules_to_save: [kind === 'span' ? 'qa_outputs' : 'classifier'],
    },
  }))
  const theirs = await runJobs(jobs)
  for (const [i, [kind]] of saved.entries()) {
    const output = join(folder, 'runs', kind)
    const path = join(folder, 'peft', kind)
    const { task } = await importAdapter(path, { from: 'peft', backbone, output, threads: 1 })
    t.is(task, kind)
    const gap = largestGap(await runLogits(output, backbone), theirs[i]!)
    t.true(gap <= budget, `${kind}: ${gap}`)
  }
})
