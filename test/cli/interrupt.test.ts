/** Ctrl-C and its relatives, sent to the command line in child processes. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { resumeCommand } from '../../lib/cli/interrupt.js'
import { describeKept } from '../../lib/cli/train.js'
import { asTsv, colourRows, temporaryFolder, tinyBackbone, writeFiles } from '../support/folder.js'
import { outcomeOf, readJson } from '../support/training.js'

const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))

async function prepare(t: ExecutionContext, rows: number) {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  await writeFiles(folder, { 'train.tsv': asTsv(colourRows(rows)) })
  const output = join(folder, "a run's folder")
  const args = (...more: string[]) => [
    ...['train', '--backbone', backbone, '--train', join(folder, 'train.tsv'), '--adapter-size', '8'],
    ...['--threads', '1', ...more],
  ]
  return { folder, output, args }
}

/** Tells when the command listens to signals. */
const announce = 'process.on("newListener", (name) => name === "SIGINT" && process.stderr.write("listening\\n"))'

/** From the first signal on, a file that is synced is never done with it. */
const hang = `
import { open } from 'node:fs/promises'
const handle = await open(process.execPath)
const prototype = Object.getPrototypeOf(handle)
await handle.close()
const sync = prototype.sync
let hanging = false
process.on('SIGINT', () => (hanging = true))
prototype.sync = function () {
  if (!hanging) return sync.call(this)
  process.stderr.write('syncing\\n')
  return new Promise(() => setInterval(() => {}, 1000))
}`

/** The command, after a script that changes its world. */
function start(args: readonly string[], script = announce) {
  return run(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(script)}`, main, ...args])
}

function run(program: string, args: readonly string[]) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk))
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  /** @throws where the process ends without it */
  const until = async (is: () => boolean) => {
    while (!is()) {
      if (child.exitCode !== null) throw new Error(`ended too early: ${text.stderr}`)
      await wait(5)
    }
  }
  return { child, text, ended, until }
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} once: a checkpoint, and the command to go on`, async (t) => {
    const { folder, output, args } = await prepare(t, 960)
    const flags = ['--epochs', '6', '--batch-size', '4']
    const { child, text, ended, until } = start(args(...flags, '--output', output, '--overwrite', '--json'))
    await until(() => existsSync(join(output, 'checkpoint.safetensors')))
    child.kill(signal)
    t.is(await ended, code, text.stderr)
    t.is(text.stdout, '')
    t.regex(text.stderr, new RegExp(`${signal}: finishing the step`))
    t.notRegex(text.stderr, /error|\n {4}at /)
    t.deepEqual((await readdir(output)).sort(), ['checkpoint.safetensors', 'metrics.jsonl', 'run.json'])
    const { status, stopped } = await readJson(join(output, 'run.json'))
    t.is(status, 'interrupted')
    const { step } = stopped as { step: number }
    t.true(step >= 240 && step < 1440, String(step))
    t.true(text.stderr.includes(`holds all ${step.toLocaleString('en-US')} steps`), text.stderr)

    // The command as it stands, in a shell.
    const command = /^ {2}(node \S+ train .* --resume)$/m.exec(text.stderr)![1]!
    t.notRegex(command, /--overwrite/)
    const resumed = run('sh', ['-c', command])
    t.is(await resumed.ended, 0, resumed.text.stderr)
    t.regex(resumed.text.stderr, /going on after step/)
    const whole = join(folder, 'whole')
    t.is(await start(args(...flags, '--output', whole, '--quiet')).ended, 0)
    t.deepEqual(await outcomeOf(output), await outcomeOf(whole))
  })
}

test('twice: the end at once, and the last checkpoint stays', async (t) => {
  const { output, args } = await prepare(t, 960)
  const flags = ['--epochs', '60', '--batch-size', '4', '--checkpoint-steps', '0']
  const { child, text, ended, until } = start(args(...flags, '--output', output), hang)
  const file = join(output, 'checkpoint.safetensors')
  await until(() => existsSync(file))
  child.kill('SIGINT')
  // In the middle of writing the checkpoint, which is the second one at least.
  await until(() => text.stderr.includes('syncing'))
  const kept = await readFile(file)
  t.true((await readdir(output)).includes('run.lock'))
  await wait(120)
  child.kill('SIGINT')
  t.is(await ended, 130)
  t.notRegex(text.stderr, /Go on with/)
  t.deepEqual((await readdir(output)).sort(), ['checkpoint.safetensors', 'metrics.jsonl', 'run.json'])
  t.deepEqual(await readFile(file), kept)
  t.like(await readJson(join(output, 'run.json')), { status: 'training' })
})

test('before the first step nothing is written', async (t) => {
  const { output, args } = await prepare(t, 100_000)
  const { child, text, ended, until } = start(args('--output', output))
  // So many rows take a while to be read.
  await until(() => text.stderr.includes('listening'))
  child.kill('SIGINT')
  t.is(await ended, 130, text.stderr)
  t.regex(text.stderr, /before the first step/)
  t.false(existsSync(output))
})

test('the command to go on', (t) => {
  const given = ['train', '--output', "it's here", '--labels', 'a,b', '--overwrite', '--resume', '--task', '$x']
  const words = `train --output 'it'\\''s here' --labels a,b --task '$x' --resume`
  t.is(resumeCommand(given, '/usr/bin/onnx-adapters'), `onnx-adapters ${words}`)
  t.is(resumeCommand(given, '/project/node_modules/.bin/onnx-adapters'), `npx onnx-adapters ${words}`)
  t.is(resumeCommand(given, join(process.cwd(), 'dist', 'main.js')), `node ${join('dist', 'main.js')} ${words}`)
  t.is(resumeCommand(given, '/else where/main.js'), `node '/else where/main.js' ${words}`)
})

test('how much is on disk', (t) => {
  t.is(describeKept(0), 'the start of a training, before its first step')
  t.is(describeKept(1), 'the one step done so far')
  t.is(describeKept(1440), 'all 1,440 steps done so far')
})
