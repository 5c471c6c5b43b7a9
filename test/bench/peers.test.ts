import test from 'ava'
import { jobName, pythonModel, roundJobs, type Job } from '../../bench/peers/jobs.js'
import { PeerRecord } from '../../bench/peers/report.js'
import { resultJson } from '../../lib/bench/json.js'

test('engines take turns model by model, libraries beside size 64', (t) => {
  const jobs = roundJobs({
    models: ['8', '64', 'full'],
    workloads: ['mrpc', 'equal'],
    libraries: ['adapterhub', 'peft-lora'],
  })
  t.deepEqual(jobs.map(jobName), [
    'mrpc, onnx-adapters 8',
    'mrpc, torch 8',
    'mrpc, onnx-adapters 64',
    'mrpc, torch 64',
    'mrpc, adapterhub 64',
    'mrpc, peft-lora 8',
    'mrpc, onnx-adapters full',
    'mrpc, torch full',
    'equal, onnx-adapters 8',
    'equal, torch 8',
    'equal, onnx-adapters 64',
    'equal, torch 64',
    'equal, onnx-adapters full',
    'equal, torch full',
  ])
  t.deepEqual(
    jobs.slice(3, 6).map((job) => pythonModel(job)),
    ['64', 'ah64', 'lora8'],
  )
  const without = roundJobs({ models: ['8'], workloads: ['sst2'], libraries: ['adapterhub'] })
  t.is(without.map(jobName).at(-1), 'sst2, adapterhub 64')
})

const job = (engine: Job['engine'], model: string, workload: Job['workload'] = 'mrpc'): Job => ({
  engine,
  model,
  workload,
})

test('ratios are of medians, on the same workload and model', (t) => {
  const record = new PeerRecord()
  for (const rate of [1000.4, 3000, 2000]) record.rate(job('onnx-adapters', '64'), rate)
  for (const rate of [500, 400, 800]) record.rate(job('torch', '64'), rate, 'bucketed')
  record.rate(job('torch', '64'), 250, 'longest')
  record.rate(job('peft-lora', '8'), 1000, 'bucketed')
  record.rate(job('torch', '64', 'sst2'), 1, 'bucketed')
  record.memory(job('onnx-adapters', '64'), 400.2)
  record.memory(job('torch', '64'), 1600)
  record.memory(job('peft-lora', '8'), 2000)
  record.failed(job('adapterhub', '64'), 'not installed')
  const { rates, ratios, memory, memoryRatios, failed } = record.results()
  t.deepEqual(rates[0], {
    engine: 'onnx-adapters',
    model: '64',
    workload: 'mrpc',
    median: 2000,
    best: 3000,
    rounds: [1000, 3000, 2000],
  })
  t.deepEqual(ratios, [
    { workload: 'mrpc', model: '64', over: 'torch 64, bucketed', ratio: 4 },
    { workload: 'mrpc', model: '64', over: 'torch 64, longest', ratio: 8 },
    { workload: 'mrpc', model: '64', over: 'peft-lora 8, bucketed', ratio: 2 },
  ])
  t.is(memory[0]!.peakMiB, 400)
  t.deepEqual(memoryRatios, [
    { model: '64', over: 'torch 64', ratio: 0.25 },
    { model: '64', over: 'peft-lora 8', ratio: 0.2 },
  ])
  t.deepEqual(failed, [{ job: 'mrpc, adapterhub 64', reason: 'not installed' }])
})

test('results are JSON with lists of numbers on a line', (t) => {
  const value = { rounds: [1, -2.5, 1e-7], one: [3], none: [], text: ['[ 1,\n 2 ]'], nested: [{ a: [4, 5] }] }
  const text = resultJson(value)
  t.deepEqual(JSON.parse(text), value)
  t.true(text.includes('"rounds": [1, -2.5, 1e-7],'))
  t.true(text.includes('"a": [4, 5]'))
})
