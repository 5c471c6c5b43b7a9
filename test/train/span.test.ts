/** Finding a marked word with a tiny encoder: train, evaluate, predict, by library and by command line. */
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { evaluate, Predictor, train } from '../../lib/index.js'
import { cli } from '../support/cli.js'
import { temporaryFolder, tinyBackbone, writeFiles } from '../support/folder.js'
import { uniform } from '../support/random.js'

const fillers = ['one', 'two', 'three', 'cat', 'dog', 'sees', 'a', 'the']
const question = 'bird'

interface Question {
  readonly question: string
  readonly context: string
  readonly answers: readonly { readonly text: string; readonly start: number }[]
}

/** Some words with one "red ... bird" among them: the answer begins at the colour and ends with the bird. */
function questions(count: number, seed: number): Question[] {
  const next = uniform(seed)
  const pick = (list: readonly string[]) => list[Math.floor(next() * list.length)]!
  return Array.from({ length: count }, () => {
    const before = Array.from({ length: Math.floor(next() * 14) }, () => pick(fillers))
    const after = Array.from({ length: Math.floor(next() * 6) }, () => pick(fillers))
    const text = `${pick(['red', 'green', 'blue'])} ${pick(fillers)} bird`
    const lead = before.map((word) => `${word} `).join('')
    return { question, context: `${lead}${[text, ...after].join(' ')}`, answers: [{ text, start: lead.length }] }
  })
}

/** The same as a SQuAD file, with characters that Python counts once and JavaScript twice. */
function squad(rows: readonly Question[]): string {
  const qas = (row: Question, i: number) => {
    const answers = row.answers.map(({ text, start }) => ({ text, answer_start: start + 2 }))
    return [{ question: row.question, id: `q${i}`, answers }]
  }
  const paragraphs = rows.map((row, i) => ({ context: `😀 ${row.context}`, qas: qas(row, i) }))
  return JSON.stringify({ version: '1.1', data: [{ title: 'Birds', paragraphs }] })
}

async function prepare(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  return { folder, backbone, output: join(folder, 'run') }
}

test.serial('a marked word is found, also far into a context', async (t) => {
  const { backbone, output } = await prepare(t)
  const validation = questions(60, 2)
  const result = await train({
    task: 'span',
    backbone,
    output,
    train: questions(240, 1),
    validation,
    adapter: { size: 8 },
    batchSize: 8,
    epochs: 3,
    learningRate: 1e-2,
    dropout: 0,
    threads: 1,
  })
  t.true(result.best.metrics['f1']! > 0.9, JSON.stringify(result.best))
  const evaluation = await evaluate({ run: output, data: validation, threads: 1 })
  t.deepEqual(evaluation.metrics, result.best.metrics)
  t.deepEqual([evaluation.rows, evaluation.truncated], [60, 0])
  await using predictor = await Predictor.load(output, { threads: 1 })
  const context = 'one two three cat dog sees a the one two three Cat, dog sees GREEN two bird . one two'
  const [first, second] = await predictor.predict([
    { text: question, textPair: context },
    { question, context: `😀${context}` },
  ])
  t.like(first, { task: 'run', span: { text: 'GREEN two bird', start: 61, end: 75 } })
  t.is(context.slice(61, 75), 'GREEN two bird')
  t.like(second, { span: { text: 'GREEN two bird', start: 63, end: 77 } })
  t.true(first!.span!.score > 0.2 && first!.span!.score <= 1)
  await t.throwsAsync(predictor.predict(['bird']), { code: 'ERR_DATA_ROW', message: /second text/ })
  await t.throwsAsync(predictor.predict([{ text: question, textPair: ' ' }]), {
    code: 'ERR_DATA_ROW',
    message: /row 1: the context has no words/,
  })
})

test.serial('the command line, from SQuAD files', async (t) => {
  const { folder, backbone, output } = await prepare(t)
  const dev = squad(questions(30, 2))
  await writeFiles(folder, { 'train.json.gz': gzipSync(squad(questions(240, 1))), 'dev.json': dev })
  const files = ['--backbone', backbone, '--train', join(folder, 'train.json.gz'), '--output', output]
  const flags = '--task span --epochs 4 --batch-size 8 --learning-rate 1e-2 --adapter-size 8 --threads 1 --stride 5'
  const trained = await cli(['train', ...files, ...flags.split(' '), '--max-answer-tokens', '4'])
  t.is(trained.code, 0, trained.stderr)
  const evaluated = await cli(['evaluate', output, '--data', join(folder, 'dev.json'), '--json'])
  t.is(evaluated.code, 0, evaluated.stderr)
  const { metrics, rows } = JSON.parse(evaluated.stdout) as { metrics: Record<string, number>; rows: number }
  t.deepEqual([Object.keys(metrics), rows], [['exact_match', 'f1'], 30])
  t.true(metrics['f1']! > 0.8, evaluated.stdout)
  const predicted = await cli(['predict', output, '--input', join(folder, 'dev.json'), '--json'])
  const lines = predicted.stdout.trim().split('\n')
  t.is(lines.length, 30)
  const row = JSON.parse(lines[0]!) as {
    text: string
    textPair: string
    span: { text: string; start: number; end: number }
  }
  t.is(row.textPair.slice(row.span.start, row.span.end), row.span.text)
  const line = await cli(['predict', output, '--input', '-'], `${question}\tone two red cat bird one\n`)
  t.regex(line.stdout, /^red cat bird\t0\.\d{4}\t8-20\tbird\n$/)

  await writeFiles(folder, { 'dev.json': dev.replace('"answer_start":', '"answer_start":3') })
  const wrong = await cli(['evaluate', output, '--data', join(folder, 'dev.json')])
  t.is(wrong.code, 1)
  t.regex(
    wrong.stderr,
    /^error: ERR_DATA_LABEL: .*dev\.json, article 1 \("Birds"\), paragraph 1, question 1 \(id q0\): answer/,
  )
})

test.serial('questions without an answer', async (t) => {
  const { backbone, output } = await prepare(t)
  const rows = [...questions(200, 3), ...questions(200, 4)].map((row, i) =>
    i % 2 === 0 ? row : { ...row, context: row.context.replace(/red|green|blue/, 'one'), answers: [] },
  )
  const options = { adapter: { size: 8 }, batchSize: 8, epochs: 3, learningRate: 1e-2, dropout: 0, threads: 1 }
  await train({ task: 'span', backbone, output, train: rows, ...options })
  const { metrics } = await evaluate({ run: output, data: rows.slice(0, 60), threads: 1 })
  t.true(metrics['f1']! > 0.85, JSON.stringify(metrics))
  await using predictor = await Predictor.load(output, { threads: 1 })
  const [none, some] = await predictor.predict([
    { question, context: 'two cat sees one bird' },
    { question, context: 'two cat sees red one bird' },
  ])
  t.like(none!.span, { text: '', start: 0, end: 0 })
  t.is(some!.span!.text, 'red one bird')
})
