/**
 * Makes lib/bench/lengths.ts: how many rows of a data set have how many tokens, as the tokenizer of all-MiniLM-L6-v2
 * (BERT's uncased vocabulary) counts them: of SST-2 and MRPC cut at 128, of SQuAD in windows of at most 384, as training
 * cuts them (the questions of its dev set: the training set is not at hand). Numbers only, no text.
 *
 *   node dist-test/bench/make_lengths.js
 */
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { questionFields } from '../lib/data/fields.js'
import { readExamples } from '../lib/data/readers/index.js'
import { cutWindows, defaultStride } from '../lib/data/tasks/windows.js'
import { loadBackbone } from '../lib/index.js'

const shared = path.resolve(process.env.ONNX_ADAPTERS_SHARED ?? '../shared')
const backbone = await loadBackbone(path.join(shared, 'models', 'all-MiniLM-L6-v2'), { verify: false })
const tokenizer = await backbone.tokenizer()

/** The usual one for SQuAD. */
const longestWindow = 384

async function countLengths(task: string): Promise<number[]> {
  const plain = path.join(shared, 'data', task, 'train.tsv')
  const counts: number[] = []
  for (const { text, textPair } of await readExamples(existsSync(plain) ? plain : `${plain}.gz`))
    count(counts, tokenizer.encode(text, textPair, { maxLength: 128 }).inputIds.length)
  return counts
}

async function countWindows(file: string): Promise<number[]> {
  const counts: number[] = []
  for (const example of await readExamples(path.join(shared, 'data', file), {
    fields: questionFields,
    needsLabel: false,
  })) {
    const context = tokenizer.tokens(example.textPair!)
    for (const { inputIds } of cutWindows(example, context, tokenizer, longestWindow, defaultStride(longestWindow)))
      count(counts, inputIds.length)
  }
  return counts
}

function count(counts: number[], length: number): void {
  while (counts.length <= length) counts.push(0)
  counts[length]!++
}

const lines = [
  '/** Made by bench/make_lengths.ts. */',
  '',
  '/** Training rows by their number of tokens, special tokens included: element n counts the rows of n tokens. */',
  'export const lengthCounts = {',
]
for (const task of ['sst2', 'mrpc']) lines.push(`  ${task}: [${(await countLengths(task)).join(', ')}],`)
lines.push(`  squad: [${(await countWindows('squad_v1.1/dev.json.gz')).join(', ')}],`)
lines.push('} as const satisfies Record<string, readonly number[]>', '')
writeFileSync('lib/bench/lengths.ts', lines.join('\n'))
