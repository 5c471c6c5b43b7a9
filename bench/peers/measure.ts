import { mkdtemp, readFile, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { pythonModel, type Job } from './jobs.js'
import { runProgram } from '../support/program.js'

/** How the processes are started. */
export interface MeasureOptions {
  readonly python: string
  /** Folder that holds `peers` (the Python scripts), `data` and `models`. */
  readonly shared: string
  readonly threads: string
  /** Of steps a job, after the untimed ones. */
  readonly milliseconds: string
  /** Tokens of a row in the workload `equal`. */
  readonly length: string
  /** `raised`: PyTorch keeps its memory between steps instead of giving it back to the system, which is faster. */
  readonly malloc: string
  readonly signal: AbortSignal
}

export interface Rate {
  readonly tokensPerSecond: number
  readonly padding?: string
}

/** Runs a job in a process of its own. A padding engine gives a rate for each way to pad. */
export async function measureRates(job: Job, options: MeasureOptions): Promise<Rate[]> {
  if (job.engine === 'onnx-adapters') {
    const { tokensPerSecond } = await runStep(job, ['--milliseconds', options.milliseconds], options)
    return [{ tokensPerSecond: Number(tokensPerSecond) }]
  }
  const lines = job.workload === 'equal' ? await equalLengths(job, options) : await realLengths(job, options)
  return lines.map(({ tokens_per_s: rate, padding }) => ({
    tokensPerSecond: Number(rate),
    ...(typeof padding === 'string' && job.workload !== 'equal' ? { padding } : {}),
  }))
}

/** Peak of resident memory, MiB, of a process that trains some steps on the longest rows of MRPC. */
export async function measureMemory(job: Job, options: MeasureOptions): Promise<number> {
  if (job.engine === 'onnx-adapters') {
    const { peakMiB } = await runStep({ ...job, workload: 'mrpc' }, ['--milliseconds', '0', '--largest', '1'], options)
    return Number(peakMiB)
  }
  const scripts = { torch: 'torch_adapters.py', adapterhub: 'adapterhub.py', 'peft-lora': 'peft_lora.py' }
  const args = ['--task', 'mrpc', '--bench', '3', '--bench-largest', '--json', '--threads', options.threads]
  const output = await runPython(scripts[job.engine], [...args, ...modelFlags(job)], { ...options, malloc: 'default' })
  const { rss_peak_mib: peak } = JSON.parse(output.trim().split('\n').at(-1)!) as Record<string, unknown>
  return Number(peak)
}

function modelFlags({ engine, model }: Job): string[] {
  if (engine === 'peft-lora') return ['--rank', model]
  if (/^\d+$/.test(model)) return ['--size', model]
  const [mode, top] = model.startsWith('top-') ? ['top-k', model.slice('top-'.length)] : [model]
  return ['--mode', mode!, ...(top ? ['--top-k', top] : [])]
}

async function runStep(job: Job, extra: string[], options: MeasureOptions): Promise<Record<string, unknown>> {
  const { shared, threads, length, signal } = options
  const source =
    job.workload === 'equal'
      ? ['--length', length]
      : ['--data', path.join(shared, 'data', job.workload, trainFile(job))]
  const backbone = path.join(shared, 'models', 'all-MiniLM-L6-v2')
  const script = path.join(import.meta.dirname, '..', 'step.js')
  const args = [script, '--backbone', backbone, '--model', job.model, '--threads', threads, ...source, ...extra]
  return JSON.parse(await runProgram(process.execPath, args, signal)) as Record<string, unknown>
}

function trainFile({ workload }: Job): string {
  return workload === 'sst2' ? 'train.tsv.gz' : 'train.tsv'
}

function realLengths(job: Job, options: MeasureOptions): Promise<Record<string, unknown>[]> {
  const { milliseconds, threads } = options
  return pythonLines(
    'bench_torch.py',
    [
      ...['--tasks', job.workload, '--paddings', 'longest', 'bucketed', '--models', pythonModel(job)],
      ...['--rounds', '1', '--milliseconds', milliseconds, '--threads', threads],
    ],
    options,
  )
}

function equalLengths(job: Job, options: MeasureOptions): Promise<Record<string, unknown>[]> {
  // About a second a step; this script counts steps.
  const steps = String(Math.max(1, Math.round(Number(options.milliseconds) / 1000)))
  return pythonLines(
    'torch_cuda.py',
    [
      ...['--device', 'cpu', '--shape', 'minilm', '--precision', 'fp32', '--how', 'eager', '--sizes', job.model],
      ...['--rows', '32', '--length', options.length, '--steps', steps, '--rounds', '1', '--warmup', '1'],
    ],
    options,
  )
}

/** The JSON lines that a script writes to the file of its option --json. */
async function pythonLines(
  script: string,
  args: string[],
  options: MeasureOptions,
): Promise<Record<string, unknown>[]> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'peers-'))
  try {
    const file = path.join(folder, 'lines.jsonl')
    await runPython(script, [...args, '--json', file], options)
    const text = await readFile(file, 'utf8')
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function runPython(script: string, args: string[], options: MeasureOptions): Promise<string> {
  const { python, shared, threads, malloc, signal } = options
  const raised = { MALLOC_MMAP_THRESHOLD_: '1000000000', MALLOC_TRIM_THRESHOLD_: '10000000000' }
  const env = { ...process.env, OMP_NUM_THREADS: threads, ...(malloc === 'raised' ? raised : {}) }
  return runProgram(python, [path.join(shared, 'peers', script), ...args], signal, env)
}

/** Versions of the Python packages that are there. */
export async function pythonVersions(python: string, signal: AbortSignal): Promise<Record<string, string>> {
  const program = [
    'import importlib.metadata as m, json, platform',
    'found = {"python": platform.python_version()}',
    'for name in ("torch", "transformers", "adapters", "peft"):',
    '    try: found[name] = m.version(name)',
    '    except m.PackageNotFoundError: pass',
    'print(json.dumps(found))',
  ]
  return JSON.parse(await runProgram(python, ['-c', program.join('\n')], signal)) as Record<string, string>
}
