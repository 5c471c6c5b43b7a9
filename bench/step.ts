/**
 * Training speed of one configuration: whole steps (forward, backward, clip, AdamW) on packed batches.
 * Prints one JSON line: real tokens a second, and the peak of resident memory.
 *
 *   node dist-test/bench/step.js --backbone DIR --data train.tsv --model 64
 *   node dist-test/bench/step.js --backbone DIR --length 128 --rows 32 --model full
 */
import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'
import { describeMachine } from '../lib/bench/machine.js'
import { quantile } from '../lib/bench/statistics.js'
import { loadBackbone, Trainer } from '../lib/index.js'
import type { LabelledRows } from '../lib/index.js'
import { benchArguments } from './support/arguments.js'
import { modelOptions } from './support/model.js'

const args = benchArguments({
  backbone: '../shared/models/all-MiniLM-L6-v2',
  data: '',
  length: '128',
  rows: '32',
  model: '64',
  dropout: '0.1',
  threads: '2',
  rounds: '1',
  milliseconds: '3000',
  warmup: '3',
  // 1: only the batch with the most tokens in one row, in whose steps memory is at its peak.
  largest: '0',
})

const backbone = await loadBackbone(args.backbone, { verify: false })
const rows = Number(args.rows)
const batches = args.data ? await datasetBatches(args.data) : [equalLengthBatch()]
const trainer = await Trainer.create({
  backbone,
  task: { kind: 'classification', outputs: 2 },
  ...modelOptions(args.model),
  head: { pool: 'mean' },
  dropout: Number(args.dropout),
  threads: Number(args.threads),
  seed: 0,
})

let at = 0
async function run(seconds: number, least: number): Promise<{ steps: number; tokens: number; seconds: number }> {
  const start = performance.now()
  let tokens = 0
  let steps = 0
  while (steps < least || performance.now() - start < seconds * 1e3) {
    const batch = batches[at++ % batches.length]!
    await trainer.step(batch, { learningRate: 1e-4 })
    for (const row of batch.inputIds) tokens += row.length
    steps++
  }
  return { steps, tokens, seconds: (performance.now() - start) / 1e3 }
}

await run(0, Number(args.warmup))
const rates: number[] = []
let tokensPerStep = 0
for (let round = 0; round < Number(args.rounds); round++) {
  at = 0
  const result = await run(Number(args.milliseconds) / 1e3, 1)
  rates.push(result.tokens / result.seconds)
  tokensPerStep = result.tokens / result.steps
}
await trainer.dispose()
console.log(
  JSON.stringify({
    ...args,
    ...describeMachine(),
    tokensPerSecond: quantile(rates, 0.5),
    best: Math.max(...rates),
    tokensPerStep,
    peakMiB: process.resourceUsage().maxRSS / 1024,
  }),
)

/** The first 8,000 rows in shuffled order, in full batches; labels do not matter for speed. */
async function datasetBatches(file: string): Promise<LabelledRows[]> {
  const bytes = await readFile(file)
  const tokenizer = await backbone.tokenizer()
  const lines = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').split('\n')
  const pair = lines[0]!.split('\t').length === 3
  const examples = lines
    .slice(1, 8001)
    .filter((line) => line)
    .map((line) => line.split('\t'))
    .map((fields) => tokenizer.encode(fields[0]!, pair ? fields[1]! : undefined, { maxLength: 128 }))
  if (args.largest === '1') {
    examples.sort((a, b) => b.inputIds.length - a.inputIds.length).splice(rows)
  } else {
    shuffle(examples, generator(7))
  }
  const result: LabelledRows[] = []
  for (let i = 0; i + rows <= examples.length; i += rows) {
    const part = examples.slice(i, i + rows)
    result.push({
      inputIds: part.map((e) => e.inputIds),
      tokenTypeIds: part.map((e) => e.tokenTypeIds),
      labels: part.map((_, k) => k % 2),
    })
  }
  return result
}

function shuffle(list: unknown[], random: () => number): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[list[i], list[j]] = [list[j], list[i]]
  }
}

function equalLengthBatch(): LabelledRows {
  const random = generator(7)
  const inputIds = Array.from({ length: rows }, () =>
    Array.from({ length: Number(args.length) }, () => 1000 + Math.floor(random() * 29000)),
  )
  return { inputIds, labels: inputIds.map((_, k) => k % 2) }
}

/** A small linear congruential generator: the same batches in every run. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
