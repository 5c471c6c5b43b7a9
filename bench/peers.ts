/**
 * onnx-adapters beside PyTorch on the same machine, data, threads and batch size, in turns: every round runs each
 * engine once in a process of its own, so a busy minute slows all of them. Writes one JSON file with the rates of every
 * round and the ratios of medians.
 *
 *   npm run bench:peers -- --python /path/to/venv/bin/python --output bench/results/peers-NAME.json
 *
 * The Python scripts and their set-up are described in ../shared/peers/README.md.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { benchArguments, median } from './support/arguments.js'
import { machine } from './support/machine.js'

const shared = path.resolve(process.env.ONNX_ADAPTERS_SHARED ?? '../shared')
const args = benchArguments({
  python: 'python3',
  rounds: '5',
  milliseconds: '4000',
  size: '64',
  threads: '2',
  length: '128',
  output: '',
})
const scratch = mkdtempSync(path.join(os.tmpdir(), 'peers-'))
const rates: Record<string, number[]> = {}

function record(name: string, rate: number): void {
  ;(rates[name] ??= []).push(rate)
  console.error(`${name.padEnd(28)}${rate.toFixed(0).padStart(8)} real tokens/s`)
}

function ours(name: string, extra: string[]): void {
  const script = path.join(import.meta.dirname, 'step.js')
  const common = ['--size', args.size, '--threads', args.threads, '--milliseconds', args.milliseconds]
  const output = execFileSync(process.execPath, [script, ...common, ...extra], { encoding: 'utf8' })
  record(name, JSON.parse(output).tokensPerSecond)
}

function torchLines(script: string, extra: string[]): Record<string, unknown>[] {
  const file = path.join(scratch, `${script}.jsonl`)
  rmSync(file, { force: true })
  execFileSync(args.python, [path.join(shared, 'peers', script), ...extra, '--json', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: args.threads },
  })
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

for (let round = 0; round < Number(args.rounds); round++) {
  for (const task of ['sst2', 'mrpc']) {
    const file = path.join(shared, 'data', task, task === 'sst2' ? 'train.tsv.gz' : 'train.tsv')
    ours(`onnx-adapters ${task}`, ['--data', file])
    const lines = torchLines('bench_torch.py', [
      ...['--tasks', task, '--paddings', 'longest', 'bucketed', '--models', args.size, '--rounds', '1'],
      ...['--milliseconds', args.milliseconds, '--threads', args.threads],
    ])
    for (const line of lines) record(`torch ${task} ${String(line.padding)}`, Number(line.tokens_per_s))
  }
  ours('onnx-adapters equal', ['--length', args.length])
  const [line] = torchLines('torch_cuda.py', [
    ...['--device', 'cpu', '--shape', 'minilm', '--precision', 'fp32', '--how', 'eager', '--sizes', args.size],
    ...['--rows', '32', '--length', args.length, '--steps', '2', '--rounds', '1', '--warmup', '1'],
  ])
  record('torch equal', Number(line?.tokens_per_s))
}
rmSync(scratch, { recursive: true })

const ratio = (a: string, b: string): number => median(rates[a]!) / median(rates[b]!)
const report = {
  what: 'training, real tokens a second; MiniLM, batch 32, dropout 0.1, mean pooling',
  size: Number(args.size),
  threads: Number(args.threads),
  ...machine(),
  medians: Object.fromEntries(Object.entries(rates).map(([name, values]) => [name, Math.round(median(values))])),
  ratios: {
    'sst2 over torch bucketed': ratio('onnx-adapters sst2', 'torch sst2 bucketed'),
    'mrpc over torch bucketed': ratio('onnx-adapters mrpc', 'torch mrpc bucketed'),
    'sst2 over torch padded to the longest': ratio('onnx-adapters sst2', 'torch sst2 longest'),
    'mrpc over torch padded to the longest': ratio('onnx-adapters mrpc', 'torch mrpc longest'),
    'equal lengths over torch': ratio('onnx-adapters equal', 'torch equal'),
  },
  rounds: rates,
}
const text = JSON.stringify(report, null, 1) + '\n'
if (args.output) writeFileSync(args.output, text)
console.log(text)
