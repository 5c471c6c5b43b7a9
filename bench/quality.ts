/**
 * Quality on dev sets: one whole `train()` per recipe and seed, one JSON line appended per finished run. A run whose
 * line is there already is passed over, so the same command goes on after a stop.
 *
 *   npm run bench:quality -- --output runs.jsonl trec:64:1e-3:3:0-4 trec:full:1e-4:3:0-4 trec:head:1e-2:20:0-4
 *
 * A recipe is TASK:MODEL:RATE:EPOCHS[:SEEDS]; MODEL is an adapter size, full, layernorm, head or top-K. The data of
 * TASK lie in DATA/TASK/train.tsv (or .tsv.gz) and dev.tsv.
 */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine } from '../lib/bench/machine.js'
import { loadBackbone, train, type Backbone, type TrainResult } from '../lib/index.js'
import { ourRuns } from './quality/lines.js'
import { dropoutOf, mainMetric, parseRecipes, recipeKey, taskRule, type Recipe } from './quality/recipe.js'
import { modelOptions } from './support/model.js'

const shared = path.resolve(process.env.ONNX_ADAPTERS_SHARED ?? '../shared')
const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    output: { type: 'string' },
    backbone: { type: 'string', default: path.join(shared, 'models', 'all-MiniLM-L6-v2') },
    data: { type: 'string', default: path.join(shared, 'data') },
    pool: { type: 'string', default: 'mean' },
    threads: { type: 'string', default: '2' },
    'train-rows': { type: 'string' },
  },
})
if (!args.output || positionals.length === 0)
  throw new Error('usage: bench:quality -- --output F.jsonl TASK:MODEL:RATE:EPOCHS[:SEEDS] ...')
const output = args.output
const recipes = positionals.flatMap(parseRecipes)
const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('stopped: the run under way is dropped, finished ones are kept')))

const backbone = await loadBackbone(args.backbone)
const done = new Set(existsSync(output) ? ourRuns(readFileSync(output, 'utf8')).map(recipeKey) : [])
for (const recipe of recipes) {
  if (done.has(recipeKey(recipe))) console.error(`${recipeKey(recipe)}: is in ${output} already`)
  else await runOne(recipe)
}

async function runOne(recipe: Recipe): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'quality-'))
  const started = performance.now()
  try {
    const trainRows = args['train-rows'] ? Number(args['train-rows']) : taskRule(recipe.task).trainRows
    const result = await trainRecipe(recipe, backbone, folder, trainRows)
    const line = describeRun(recipe, result, trainRows, (performance.now() - started) / 1000)
    appendFileSync(output, `${JSON.stringify(line)}\n`)
    console.error(
      `${recipeKey(recipe)}: best ${line.best.toFixed(4)} | by epoch ${line.byEpoch.map((x) => x.toFixed(4)).join(' ')} | ${line.seconds} s`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function trainRecipe(
  recipe: Recipe,
  frozen: Backbone,
  folder: string,
  trainRows: number | undefined,
): Promise<TrainResult> {
  const { task, model, learningRate, epochs, seed } = recipe
  const file = (name: string) => {
    const plain = path.join(args.data, task, name)
    return existsSync(plain) ? plain : `${plain}.gz`
  }
  return train({
    ...modelOptions(model),
    dropout: dropoutOf(model),
    backbone: frozen,
    train: file('train.tsv'),
    validation: file('dev.tsv'),
    output: folder,
    task: taskRule(task).options,
    head: { pool: args.pool as 'mean' },
    epochs,
    learningRate,
    seed,
    trainRows,
    threads: Number(args.threads),
    signal: stop.signal,
  })
}

function describeRun(recipe: Recipe, result: TrainResult, trainRows: number | undefined, seconds: number) {
  const epochs = result.history.map(({ validation }) => validation!.metrics)
  const byEpoch = epochs.map((metrics) => round(mainMetric(recipe.task, metrics)))
  return {
    engine: 'onnx-adapters' as const,
    ...recipe,
    best: Math.max(...byEpoch),
    byEpoch,
    metricsByEpoch: epochs.map((metrics) =>
      Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, round(value)])),
    ),
    seconds: Math.round(seconds),
    tokensPerSecond: Math.round(result.throughput.tokensPerSecond),
    trainedParameters: result.parameters.trained,
    trainRows: trainRows ?? null,
    pool: args.pool,
    threads: Number(args.threads),
    machine: describeMachine(),
  }
}

function round(value: number): number {
  return Math.round(1e6 * value) / 1e6
}
