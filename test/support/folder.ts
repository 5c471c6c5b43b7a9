/** Folders for tests: temporary ones, and a tiny backbone that has a tokenizer. */
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { writeModel } from '../../lib/onnx/write.js'
import { integers, tinyBert, type ModelBuilder } from './onnx_models.js'
import { packagePath } from './shared.js'

/** A folder that goes when the test ends. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onnx-adapters-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export async function writeFiles(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
}

const words = ['red', 'green', 'blue', 'one', 'two', 'three', 'cat', 'dog', 'bird', 'sees', 'a', 'the', '.']

/** A tokenizer.json of whole words, with fewer ids than the tiny encoder has rows. */
export const tinyTokenizer = {
  added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content, id) => ({
    id,
    content,
    special: true,
    normalized: false,
  })),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(['[PAD]', '[UNK]', '[CLS]', '[SEP]', ...words].map((word, id) => [word, id])),
  },
}

/** The tiny encoder of test/golden (two layers, 32 wide, 16 positions, 50 ids) with a tokenizer beside it. */
export async function tinyBackbone(folder: string): Promise<string> {
  await writeFiles(folder, { 'tokenizer.json': JSON.stringify(tinyTokenizer) })
  await copyFile(packagePath('test', 'golden', 'sdpa', 'model.onnx'), join(folder, 'model.onnx'))
  await copyFile(packagePath('test', 'golden', 'sdpa', 'config.json'), join(folder, 'config.json'))
  return folder
}

/** `roomyBackbone` with a tokenizer's file that is whole, as other libraries want it: they say what they have not, too. */
export async function wholeBackbone(folder: string): Promise<string> {
  const decoder = { type: 'WordPiece', prefix: '##', cleanup: true }
  const whole = { version: '1.0', truncation: null, padding: null, ...tinyTokenizer, decoder }
  await roomyBackbone(folder)
  await writeFiles(folder, { 'tokenizer.json': JSON.stringify(whole) })
  return folder
}

/** Small too, but with 512 positions and a pooler: takes the commands that are meant for real models. */
export async function roomyBackbone(folder: string): Promise<string> {
  await writeFiles(folder, { 'tokenizer.json': JSON.stringify(tinyTokenizer) })
  const hidden = 16
  const addPooler = (b: ModelBuilder, x: string) => {
    const first = b.add('Gather', [x, b.tensor(integers([], [0]))], { axis: 1 })
    b.add('Tanh', [b.linear(first, hidden, hidden)])
    return x
  }
  const sizes = { layers: 2, hidden, heads: 4, feedForward: 32, positions: 512, vocabulary: 50 }
  await writeModel(tinyBert({ ...sizes, after: addPooler }), join(folder, 'model.onnx'))
  return folder
}

/** Rows that a tiny encoder can learn: the label is the colour. */
export function colourRows(count: number): { text: string; label: string }[] {
  const colours = words.slice(0, 3)
  const animals = words.slice(6, 9)
  return Array.from({ length: count }, (_, i) => ({
    text: `the ${colours[i % 3]} ${animals[Math.floor(i / 3) % 3]} sees a ${animals[i % 2]} .`,
    label: colours[i % 3]!,
  }))
}

export function asTsv(rows: readonly { text: string; label: string }[]): string {
  return ['text\tlabel', ...rows.map(({ text, label }) => `${text}\t${label}`), ''].join('\n')
}
