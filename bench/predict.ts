/**
 * Many tasks on one backbone in memory: the rate of a batch that mixes tasks beside that of one task's rows, in turns;
 * what a change of task costs, and what it takes to add one.
 *
 *   npm run bench:predict -- --output bench/results/predict-NAME.json
 *
 * The tasks are adapters of one size, hardly trained: what they answer does not matter here.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { describeMachine } from '../lib/bench/machine.js'
import { loadBackbone, Predictor, train, type Backbone } from '../lib/index.js'
import { readExamples } from '../lib/data/readers/index.js'
import { taskFamily } from '../lib/data/tasks/index.js'
import { quantiles } from '../lib/bench/statistics.js'
import { benchArguments } from './support/arguments.js'

const shared = path.resolve(process.env.ONNX_ADAPTERS_SHARED ?? '../shared')
const args = benchArguments({
  backbone: path.join(shared, 'models', 'all-MiniLM-L6-v2'),
  data: path.join(shared, 'data', 'trec'),
  tasks: '16',
  size: '64',
  rows: '32,256',
  rounds: '15',
  threads: String(os.availableParallelism()),
  output: '',
})
const [tasks, size, rounds, threads] = [args.tasks, args.size, args.rounds, args.threads].map(Number) as number[]

const folder = mkdtempSync(path.join(os.tmpdir(), 'predict-'))
try {
  const backbone = await loadBackbone(args.backbone)
  const names = Array.from({ length: tasks! + 1 }, (_, i) => `task-${i}`)
  for (const [seed, name] of names.entries()) await makeRun(backbone, path.join(folder, name), seed)
  const resident = names.slice(0, -1)
  const predictor = await Predictor.load(
    resident.map((name) => path.join(folder, name)),
    { backbone, threads: threads! },
  )
  const texts = await readTexts()
  const result = {
    format: 1,
    kind: 'predict',
    what: `rows of ${tasks} tasks in one batch beside rows of one task; adapters of size ${size}, TREC's texts`,
    machine: describeMachine('cpu'),
    threads,
    rates: [] as unknown[],
    switchMicroseconds: 0,
    addMilliseconds: 0,
    memory: predictor.memory(),
  }
  for (const rows of args.rows.split(',').map(Number)) result.rates.push(await compareRates(predictor, texts, rows))
  result.switchMicroseconds = await timeSwitch(predictor, texts[0]!)
  result.addMilliseconds = await timeAdd(predictor, path.join(folder, names.at(-1)!))
  await predictor.dispose()
  const text = `${JSON.stringify(result, null, 1)}\n`
  if (args.output) await writeFile(args.output, text)
  else process.stdout.write(text)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function makeRun(backbone: Backbone, output: string, seed: number): Promise<void> {
  await train({
    backbone,
    train: path.join(args.data, 'train.tsv'),
    trainRows: 64,
    epochs: 1,
    adapter: { size: size! },
    output,
    seed,
  })
}

async function readTexts(): Promise<string[]> {
  const { fields } = taskFamily('classification')
  const examples = await readExamples(path.join(args.data, 'train.tsv'), { fields })
  return examples.map(({ text }) => text)
}

function median(values: readonly number[]): number {
  return quantiles(values).median
}

/** Milliseconds of a call. */
async function timed(call: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await call()
  return performance.now() - start
}

/** One task's rows and rows of all tasks, in turns, other texts in each round. */
async function compareRates(predictor: Predictor, texts: readonly string[], rows: number) {
  const { tasks: names } = predictor
  const inputs = (round: number, taskOf: (row: number) => string) =>
    Array.from({ length: rows }, (_, i) => ({ text: texts[(round * rows + i) % texts.length]!, task: taskOf(i) }))
  const times = { one: [] as number[], mixed: [] as number[] }
  for (let round = -2; round < rounds!; round++) {
    const one = await timed(() => predictor.predict(inputs(round + 2, () => names[0]!)))
    const mixed = await timed(() => predictor.predict(inputs(round + 2, (row) => names[row % names.length]!)))
    if (round < 0) continue // warm-up
    times.one.push(one)
    times.mixed.push(mixed)
  }
  const ratios = times.one.map((one, i) => one / times.mixed[i]!)
  return {
    rows,
    oneTaskRowsPerSecond: (1000 * rows) / median(times.one),
    mixedRowsPerSecond: (1000 * rows) / median(times.mixed),
    ratio: median(ratios),
  }
}

/** What a call costs more where the one before was of another task, microseconds. */
async function timeSwitch(predictor: Predictor, text: string): Promise<number> {
  const [first, second] = predictor.tasks as [string, string]
  const differences: number[] = []
  for (let i = 0; i < 20 * rounds!; i++) {
    const ask = (task: string) => predictor.predict([{ text, task }])
    await ask(first)
    const same = await timed(() => ask(first))
    await ask(second)
    const other = await timed(() => ask(first))
    differences.push(1000 * (other - same))
  }
  return median(differences)
}

async function timeAdd(predictor: Predictor, run: string): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < rounds!; i++) {
    times.push(await timed(() => predictor.add(run)))
    await predictor.remove(path.basename(run))
  }
  return median(times)
}
