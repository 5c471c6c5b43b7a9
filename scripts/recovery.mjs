// What a user does, on a real backbone through the command line: trains a classification, a pair and a regression task;
// kills one by SIGKILL and resumes it; its predictions must be those of the run that was left alone. Takes the shared
// backbone and data where they are, else fetches the one and makes the others. About a minute on two cores.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { root } from './native.mjs'

const shared = resolve(root, process.env.ONNX_ADAPTERS_SHARED ?? '../shared')
const cli = join(root, 'dist', 'cli', 'main.js')
const folder = mkdtempSync(join(tmpdir(), 'onnx-adapters-recovery-'))
const heldRows = 64

/** `make(i)` gives row i where there are no shared data. */
const tasks = [
  {
    name: 'classification',
    data: 'trec',
    rows: 256,
    flags: ['--epochs', '3'],
    header: 'text\tlabel',
    make: (i) => `the ${colour(i)} ${animal(i >> 2)} sees a ${animal(i)}\t${colour(i)}`,
  },
  {
    name: 'pair',
    data: 'mrpc',
    rows: 128,
    flags: ['--epochs', '2'],
    header: 'text_a\ttext_b\tlabel',
    make: (i) => `a ${colour(i)} ${animal(i)}\tone ${colour(i + (i & 1))} ${animal(i)}\t${i & 1 ? 'other' : 'same'}`,
  },
  {
    name: 'regression',
    data: 'stsb',
    rows: 384,
    flags: ['--epochs', '3', '--task', 'regression'],
    header: 'text_a\ttext_b\tlabel',
    make: (i) => `a ${colour(i)} ${animal(i)}\ta ${colour(i)} ${animal(i + (i % 3))}\t${(5 - (i % 3) * 2).toFixed(1)}`,
  },
]

function colour(i) {
  return ['red', 'green', 'blue', 'black'][i % 4]
}

function animal(i) {
  return ['cat', 'dog', 'bird'][i % 3]
}

function check(holds, message) {
  if (!holds) throw new Error(message)
}

function command(args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' })
  check(status === 0, `onnx-adapters ${args.join(' ')}: exit ${status}\n${stderr}`)
  return stdout
}

function prepare({ name, data, rows, header, make }) {
  const source = (split) => join(shared, 'data', data, `${split}.tsv`)
  const files = { train: join(folder, `${name}.tsv`), validation: join(folder, `${name}-dev.tsv`) }
  const made = (from, count) => [header, ...Array.from({ length: count }, (_, i) => make(from + i))]
  const taken = (split, count) =>
    readFileSync(source(split), 'utf8')
      .split('\n')
      .slice(0, count + 1)
  const read = existsSync(source('train'))
  const write = (file, lines) => writeFileSync(file, `${lines.join('\n').trimEnd()}\n`)
  write(files.train, read ? taken('train', rows) : made(0, rows))
  write(files.validation, read ? taken('dev', heldRows) : made(rows, heldRows))
  return files
}

function trainArguments(backbone, { flags }, { train, validation }, output) {
  const data = ['--train', train, '--validation', validation, '--output', output]
  return ['train', '--backbone', backbone, ...data, '--pool', 'mean', '--seed', '7', ...flags]
}

/** Trains, and looks at what came out. */
function trainTask(backbone, task, files) {
  const output = join(folder, task.name)
  const { best, history } = JSON.parse(command([...trainArguments(backbone, task, files, output), '--json', '--quiet']))
  const { metrics, rows } = JSON.parse(command(['evaluate', output, '--data', files.validation, '--json']))
  check(rows === heldRows, `evaluate read ${rows} rows`)
  check(
    JSON.stringify(metrics) === JSON.stringify(best.metrics),
    `evaluate and train disagree: ${JSON.stringify(metrics)}`,
  )
  const losses = history.map(({ trainLoss }) => trainLoss)
  check(losses.at(-1) < losses[0], `the loss does not fall: ${losses.join(', ')}`)
  return {
    output,
    report: Object.entries(metrics)
      .map(([key, value]) => `${key} ${value.toFixed(3)}`)
      .join(', '),
  }
}

/** Ends a training without a warning, soon after its first epoch. */
async function trainAndKill(args) {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise((done) => child.once('exit', (code, signal) => done(signal ?? code)))
  await new Promise((done) => {
    let text = ''
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
      if (/^epoch 1: /m.test(text)) done()
    })
    child.once('exit', done)
  })
  await wait(150)
  child.kill('SIGKILL')
  return ended
}

async function killAndResume(backbone, task, files) {
  const output = join(folder, 'killed')
  const args = trainArguments(backbone, task, files, output)
  const ending = await trainAndKill(args)
  check(ending === 'SIGKILL', `the training had ended before it was killed: ${ending}`)
  check(existsSync(join(output, 'checkpoint.safetensors')), 'the killed training left no checkpoint')
  const { status, stderr } = spawnSync(process.execPath, [cli, ...args, '--resume'], { encoding: 'utf8' })
  check(status === 0, `--resume: exit ${status}\n${stderr}`)
  check(!/^epoch 1: /m.test(stderr) && /^epoch 2: /m.test(stderr), `it began anew:\n${stderr}`)
  return output
}

async function step(title, work) {
  const started = performance.now()
  const result = await work()
  const note = typeof result === 'object' ? `: ${result.report}` : ''
  console.log(`✔ ${title}${note} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
  return result
}

async function main() {
  const near = join(shared, 'models', 'all-MiniLM-L6-v2')
  const backbone = existsSync(near) ? near : command(['fetch', 'all-MiniLM-L6-v2']).trim()
  const files = new Map(tasks.map((task) => [task, prepare(task)]))
  const runs = new Map()
  for (const task of tasks)
    runs.set(task, await step(`trains the ${task.name} task`, () => trainTask(backbone, task, files.get(task))))
  const [first] = tasks
  const killed = await step('resumes a killed training', () => killAndResume(backbone, first, files.get(first)))
  await step('predicts as the one that was left alone', () => {
    const predict = (run) => command(['predict', run, '--input', files.get(first).validation, '--json'])
    const withoutName = (text) => text.replace(/"task": ?"[^"]*"/g, '')
    const [a, b] = [runs.get(first).output, killed].map(predict).map(withoutName)
    check(a.split('\n').length > heldRows && a === b, 'the predictions differ')
  })
  console.log(`${tasks.length + 2} passed, 0 failed`)
}

try {
  await main()
} catch (error) {
  console.error(`✘ ${error.message}`)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
