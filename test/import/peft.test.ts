import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { exportRun, importAdapter } from '../../lib/index.js'
import { readSafetensors, toFloats, writeSafetensors } from '../../lib/formats/safetensors.js'
import { madeTasks, makeRun } from '../support/exported.js'
import { temporaryFolder } from '../support/folder.js'
import { largestGap, runLogits, writeHfModel } from '../support/hf_model.js'

test('LayerNorms and head go out and come in again, kind and labels too', async (t) => {
  const folder = await temporaryFolder(t)
  const { backbone } = await writeHfModel(join(folder, 'model'))
  for (const kind of ['classification', 'multilabel', 'token', 'span'] as const) {
    const made = { task: madeTasks[kind], pool: 'pooler', trainable: ['layerNorm', 'head'] } as const
    const run = await makeRun(join(folder, kind), backbone, made)
    const path = join(folder, `${kind}.peft`)
    await exportRun(run, { to: 'peft', output: path, backbone })
    const output = join(folder, `${kind}.back`)
    const { task, warnings } = await importAdapter(path, { from: 'peft', backbone, output, threads: 1 })
    t.deepEqual([task, warnings.length], [kind, 0])
    t.is(largestGap(await runLogits(run, backbone), await runLogits(output, backbone)), 0)
    const record = JSON.parse(await readFile(join(output, 'run.json'), 'utf8')) as { task: object }
    t.deepEqual(record.task, madeTasks[kind])
  }
})

test('what it cannot say is refused, and what is read must be LayerNorm tuning', async (t) => {
  const folder = await temporaryFolder(t)
  const { backbone } = await writeHfModel(join(folder, 'model'))
  let number = 0
  const refused = async (made: Parameters<typeof makeRun>[2], message: RegExp) => {
    const run = await makeRun(join(folder, `run${++number}`), backbone, { pool: 'pooler', ...made })
    const output = join(folder, 'never')
    await t.throwsAsync(exportRun(run, { to: 'peft', output, backbone }), { code: 'ERR_EXPORT_UNSUPPORTED', message })
  }
  await refused({}, /bottleneck adapters, for which peft has no type/)
  await refused({ trainable: ['head'] }, /a head alone/)
  await refused({ trainable: ['layerNorm', 'head'], pool: 'cls' }, /does not read the pooler/)
  await refused({ trainable: 'all' }, /backbone's own weights/)

  const run = await makeRun(join(folder, 'run'), backbone, { pool: 'pooler', trainable: ['layerNorm', 'head'] })
  const whole = join(folder, 'whole')
  await exportRun(run, { to: 'peft', output: whole, backbone })
  const broken = async (code: string, message: RegExp, change: (copy: string) => Promise<unknown>) => {
    const copy = join(folder, `copy${++number}`)
    await cp(whole, copy, { recursive: true })
    await change(copy)
    const options = { from: 'peft', backbone, output: join(folder, 'never'), threads: 1 }
    await t.throwsAsync(importAdapter(copy, options), { code, message })
  }
  const config = async (copy: string, more: object) => {
    const file = join(copy, 'adapter_config.json')
    const before = JSON.parse(await readFile(file, 'utf8')) as object
    await writeFile(file, JSON.stringify({ ...before, ...more }))
  }
  const tensors = async (copy: string, change: (all: Map<string, { shape: number[]; data: Float32Array }>) => void) => {
    const file = join(copy, 'adapter_model.safetensors')
    const { tensors: read } = await readSafetensors(file)
    const all = new Map([...read].map(([name, each]) => [name, { shape: [...each.shape], data: toFloats(name, each) }]))
    change(all)
    await writeSafetensors(file, all)
  }
  await broken('ERR_INTEROP_UNSUPPORTED', /"peft_type" is "LORA"/, (copy) => config(copy, { peft_type: 'LORA' }))
  await broken('ERR_INTEROP_UNSUPPORTED', /"task_type" is "CAUSAL_LM"/, (copy) =>
    config(copy, { task_type: 'CAUSAL_LM' }),
  )
  await broken('ERR_INTEROP_MISSING', /adapter_config/, (copy) => rm(join(copy, 'adapter_config.json')))
  await broken('ERR_INTEROP_MISSING', /adapter_model/, (copy) => rm(join(copy, 'adapter_model.safetensors')))
  await broken('ERR_INTEROP_FILE', /modules_to_save/, (copy) =>
    tensors(copy, (all) => all.delete('base_model.model.classifier.bias')),
  )
  await broken('ERR_INTEROP_UNSUPPORTED', /lora_A/, (copy) =>
    tensors(copy, (all) => all.set('base_model.model.bert.x.lora_A.weight', { shape: [1], data: new Float32Array(1) })),
  )
})
