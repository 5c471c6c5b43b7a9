/**
 * Makes lib/bench/lengths.ts: how many rows of a data set have how many tokens, as the tokenizer of all-MiniLM-L6-v2
 * (BERT's uncased vocabulary) counts them, cut at 128. Numbers only, no text.
 *
 *   node dist-test/bench/make_lengths.js
 */
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { readExamples } from '../lib/data/readers/index.js'
import { loadBackbone } from '../lib/index.js'

const shared = path.resolve(process.env.ONNX_ADAPTERS_SHARED ?? '../shared')
const backbone = await loadBackbone(path.join(shared, 'models', 'all-MiniLM-L6-v2'), { verify: false })
const tokenizer = await backbone.tokenizer()

async function countLengths(task: string): Promise<number[]> {
  const plain = path.join(shared, 'data', task, 'train.tsv')
  const counts: number[] = []
  for (const { text, textPair } of await readExamples(existsSync(plain) ? plain : `${plain}.gz`)) {
    const { length } = tokenizer.encode(text, textPair, { maxLength: 128 }).inputIds
    while (counts.length <= length) counts.push(0)
    counts[length]!++
  }
  return counts
}

const lines = [
  '/** Made by bench/make_lengths.ts. */',
  '',
  '/** Training rows by their number of tokens, special tokens included: element n counts the rows of n tokens. */',
  'export const lengthCounts = {',
]
for (const task of ['sst2', 'mrpc']) lines.push(`  ${task}: [${(await countLengths(task)).join(', ')}],`)
lines.push('} as const satisfies Record<string, readonly number[]>', '')
writeFileSync('lib/bench/lengths.ts', lines.join('\n'))
