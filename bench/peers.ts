/**
 * onnx-adapters beside PyTorch, AdapterHub and PEFT's LoRA on the same machine, data, threads and batch size, in turns:
 * every round runs each engine once per model, in a process of its own, so a busy minute slows all of them. Then the
 * peak of memory of each. The result file is written anew after every measurement: a stop loses nothing.
 *
 *   npm run bench:peers -- --python /path/to/venv/bin/python --output bench/results/peers-NAME.json
 *
 * The Python scripts and their set-up are described in ../shared/peers/README.md.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { resultJson } from '../lib/bench/json.js'
import { describeMachine } from '../lib/bench/machine.js'
import { writeAtomic } from '../lib/formats/atomic.js'
import { jobName, roundJobs, type Job, type PeerWorkload } from './peers/jobs.js'
import { measureMemory, measureRates, pythonVersions } from './peers/measure.js'
import { PeerRecord, type PeersReport } from './peers/report.js'
import { benchArguments } from './support/arguments.js'

const args = benchArguments({
  python: 'python3',
  output: '',
  rounds: '5',
  milliseconds: '4000',
  models: '8,64,256,full',
  workloads: 'sst2,mrpc,equal',
  threads: '2',
  length: '128',
  // default: as PyTorch comes; raised: faster on Linux, see measure.ts.
  malloc: 'default',
})
const shared = path.resolve(process.env.ONNX_ADAPTERS_SHARED ?? '../shared')
if (!existsSync(path.join(shared, 'peers')))
  throw new Error(`the Python scripts are not in ${shared}/peers (set ONNX_ADAPTERS_SHARED)`)
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
const { python, threads, milliseconds, length, malloc } = args
const options = { python, shared, threads, milliseconds, length, malloc, signal: stop.signal }
const rounds = Number(args.rounds)
const started = performance.now()

const versions = await pythonVersions(python, stop.signal)
if (!versions.torch) throw new Error(`${python}: torch is not installed there`)
const jobs = roundJobs({
  models: args.models.split(','),
  workloads: args.workloads.split(',') as PeerWorkload[],
  libraries: [...(versions.adapters ? ['adapterhub' as const] : []), ...(versions.peft ? ['peft-lora' as const] : [])],
})
// Memory is measured on one workload, so once per engine and model.
const memoryJobs = [...new Map(jobs.map((job) => [`${job.engine} ${job.model}`, job])).values()]
const total = rounds * jobs.length + memoryJobs.length
const record = new PeerRecord()
let done = 0

for (let round = 1; round <= rounds; round++) {
  for (const job of jobs) {
    await attempt(`round ${round} of ${rounds}: ${jobName(job)}`, job, async () => {
      const rates = await measureRates(job, options)
      for (const { tokensPerSecond, padding } of rates) record.rate(job, tokensPerSecond, padding)
      return rates
        .map(({ tokensPerSecond, padding = '' }) => `${padding} ${Math.round(tokensPerSecond)} tokens/s`)
        .join(', ')
    })
  }
}
for (const job of memoryJobs) {
  await attempt(`memory: ${job.engine} ${job.model}`, job, async () => {
    const peak = await measureMemory(job, options)
    record.memory(job, peak)
    return `${Math.round(peak)} MiB`
  })
}
await save(!stop.signal.aborted)
process.stdout.write(resultJson(report(!stop.signal.aborted)))
if (stop.signal.aborted) process.exitCode = 130

/** One measurement; a failure is noted and the others go on. */
async function attempt(title: string, job: Job, measure: () => Promise<string>): Promise<void> {
  if (stop.signal.aborted) return
  let outcome: string
  try {
    outcome = await measure()
  } catch (error) {
    if (stop.signal.aborted) return console.error('stopped: what was measured is kept')
    outcome = `failed: ${(error as Error).message}`
    record.failed(job, (error as Error).message)
  }
  done++
  const left = ((performance.now() - started) / done) * (total - done)
  console.error(`[${done}/${total}, ${Math.ceil(left / 60e3)} min left] ${title}: ${outcome.trim()}`)
  await save(false)
}

async function save(complete: boolean): Promise<void> {
  if (args.output) await writeAtomic(args.output, resultJson(report(complete)))
}

function report(complete: boolean): PeersReport {
  return {
    format: 1,
    kind: 'peers',
    what: 'training, real (not padded) tokens a second; all-MiniLM-L6-v2, batch 32, dropout 0.1, mean pooling, AdamW',
    machine: describeMachine(),
    threads: Number(threads),
    settings: { rounds, milliseconds: Number(milliseconds), equalLength: Number(length), malloc },
    versions,
    complete,
    ...record.results(),
  }
}
