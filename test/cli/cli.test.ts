/** The command line in child processes: what goes where, and the exit codes. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { cli, main, type Outcome } from '../support/cli.js'
import { asTsv, colourRows, temporaryFolder, tinyBackbone, writeFiles } from '../support/folder.js'
import { testUnless } from '../support/unless.js'

async function prepare(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  await writeFiles(folder, { 'train.tsv': asTsv(colourRows(96)), 'dev.tsv': asTsv(colourRows(18)) })
  const run = join(folder, 'colours')
  const flags = [
    '--adapter-size',
    '8',
    '--batch-size',
    '8',
    '--learning-rate',
    '1e-2',
    '--epochs',
    '6',
    '--threads',
    '1',
  ]
  const train = ['train', '--backbone', backbone, '--train', join(folder, 'train.tsv'), '--output', run, ...flags]
  return { folder, backbone, run, train, dev: join(folder, 'dev.tsv') }
}

test('wrong usage is exit 2, help is 0', async (t) => {
  t.is((await cli(['--help'])).code, 0)
  t.regex((await cli(['train', '--help'])).stdout, /--learning-rate <x>/)
  t.is((await cli(['--version'])).code, 0)
  for (const args of [
    [],
    ['nonsense'],
    ['train'],
    ['train', '--bachbone', 'x'],
    ['inspect'],
    ['evaluate', 'x'],
    ['predict'],
  ]) {
    const { code, stdout, stderr } = await cli(args)
    t.is(code, 2, args.join(' '))
    t.is(stdout, '')
    t.not(stderr, '')
  }
  t.regex((await cli(['trian'])).stderr, /Did you mean train\?/)
  t.regex((await cli(['evaluate', 'x', '--data', 'y', '--bacbone', 'z'])).stderr, /Did you mean --backbone\?/)
  for (const flag of ['--learning-rate', '--learning-rate=1']) {
    const { code, stderr } = await cli(['evaluate', 'x', '--data', 'y', flag])
    t.is(code, 2)
    t.regex(stderr, /^error: option '--learning-rate' belongs to train, not to evaluate\n/)
  }
  t.regex(
    (await cli(['doctor', '--threads', '1'])).stderr,
    /'--threads' belongs to train, evaluate, predict, bench, export, import, not/,
  )
})

test('doctor', async (t) => {
  const { code, stdout } = await cli(['doctor', '--json'])
  t.is(code, 0)
  const report = JSON.parse(stdout) as { version: string; addon: { ok: boolean; isas: string[] } }
  t.true(report.addon.ok)
  t.true(report.addon.isas.includes('scalar'))
  t.regex((await cli(['doctor'])).stdout, /instruction set/)
})

test('inspect', async (t) => {
  const { folder, backbone } = await prepare(t)
  const { code, stdout } = await cli(['inspect', backbone, '--json'])
  t.is(code, 0)
  t.like(JSON.parse(stdout), {
    architecture: 'bert',
    layers: 2,
    hidden: 32,
    pooler: true,
    trainedParameters: { 8: 2528 },
  })
  t.regex((await cli(['inspect', backbone])).stdout, /parameters +\d/)
  t.regex((await cli(['inspect', '--plan', backbone])).stdout, /entry step: \d+ ops/)
  const missing = await cli(['inspect', join(folder, 'absent')])
  t.is(missing.code, 1)
  t.regex(missing.stderr, /^error: ERR_ONNX_MISSING: /)
  t.notRegex(missing.stderr, /\n {4}at /)
  t.regex((await cli(['inspect', join(folder, 'absent'), '--debug'])).stderr, /\n {4}at /)
  t.regex((await cli(['--debug', 'inspect', join(folder, 'absent')])).stderr, /\n {4}at /)
  t.is((await cli(['--json', 'inspect', backbone])).stdout, stdout)
})

test('train, evaluate, predict', async (t) => {
  const { folder, run, train, dev } = await prepare(t)
  const trained = await cli([...train, '--validation', dev, '--json'])
  t.is(trained.code, 0, trained.stderr)
  t.regex(trained.stderr, /training 2,627 parameters/)
  const result = JSON.parse(trained.stdout) as { output: string; best: { epoch: number } }
  t.is(result.output, run)

  const again = await cli([...train, '--quiet'])
  t.is(again.code, 1)
  t.regex(again.stderr, /ERR_OUTPUT_EXISTS/)
  const quiet = await cli([...train, '--overwrite', '--quiet', '--validation', dev])
  t.is(quiet.code, 0)
  t.is(quiet.stderr, '')
  t.regex(quiet.stdout, /accuracy/)

  const evaluated = await cli(['evaluate', run, '--data', dev, '--json'])
  t.is(evaluated.code, 0, evaluated.stderr)
  t.deepEqual(Object.keys(JSON.parse(evaluated.stdout) as object), ['metrics', 'rows', 'loss'])
  t.regex((await cli(['evaluate', run, '--data', dev])).stdout, /accuracy +\d/)

  const texts = ['the red cat sees a dog .', 'the blue bird sees a dog .']
  const predicted = await cli(['predict', run, ...texts])
  t.is(predicted.code, 0, predicted.stderr)
  t.deepEqual(
    predicted.stdout
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[0]),
    ['red', 'blue'],
  )
  const lines = await cli(['predict', run, '--input', '-', '--json'], `${texts.join('\n')}\n`)
  const rows = lines.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { text: string; label: string; task: string })
  t.deepEqual(
    rows.map(({ text, label, task }) => [text, label, task]),
    [
      [texts[0], 'red', 'colours'],
      [texts[1], 'blue', 'colours'],
    ],
  )
  const labelled = await cli(['predict', run, '--input', dev])
  t.is(labelled.stdout.trim().split('\n').length, 18)

  await writeFiles(folder, { 'texts.txt': `${texts[1]}\n` })
  t.regex((await cli(['predict', run, '--input', join(folder, 'texts.txt')])).stdout, /^blue\t/)
  const usage = async (code: number, message: RegExp, ...args: string[]) => {
    const outcome = await cli(['predict', ...args])
    t.is(outcome.code, code, outcome.stderr)
    t.is(outcome.stdout, '')
    t.regex(outcome.stderr, message)
  }
  await usage(2, /no texts: give them after the run, or --input/, run)
  await usage(1, /absent: not the folder of a run: no run\.json in it; predict takes/, join(folder, 'absent'), 'text')
  await usage(1, /colour: not the folder of a run.*did you mean ".*colours"\?/, join(folder, 'colour'), 'text')
  await usage(2, /hi: not the folder of a run.*predict takes the folder of a run first, then texts/, 'hi')
  await usage(2, /"red" is no folder of a run.*leave it out, or --input/, run, 'red', '--input', dev)
  const doubtful = await cli(['predict', run, join(folder, 'colour'), 'red'])
  t.is(doubtful.code, 0)
  t.regex(
    doubtful.stderr,
    /^warning: ".*colour" is no folder of a run, and is taken for a text; did you mean ".*colours"\?\n$/,
  )

  const file = join(run, 'run.json')
  await writeFile(file, (await readFile(file, 'utf8')).replace('"size": 8', '"size": 0'))
  const tampered = await cli(['evaluate', run, '--data', dev])
  t.is(tampered.code, 1, 'the fault is in a file, not in the usage')
  t.true(tampered.stderr.startsWith(`error: ERR_RUN_RECORD: ${file}: `), tampered.stderr)
})

/** Runs a command whose reader takes one piece of its output, or none, and goes. */
function unread(args: readonly string[], input: string, pieces: 0 | 1): Promise<Outcome> {
  return new Promise((finish, fail) => {
    const child = spawn(process.execPath, [main, ...args])
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
    if (pieces === 0) child.stdout.destroy()
    else child.stdout.once('data', () => child.stdout.destroy())
    child.once('error', fail)
    child.once('close', (code) => finish({ code, stdout: '', stderr }))
    // The command may end before it has read all of this.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

test('a reader that has seen enough ends the command without a word', async (t) => {
  t.like(await unread(['doctor'], '', 0), { code: 0, stderr: '' })
  const { run, train } = await prepare(t)
  t.is((await cli([...train, '--epochs', '1', '--train-rows', '12'])).code, 0)
  // More than a pipe holds, so that the command writes when nobody reads any more.
  const texts = 'the red cat sees a dog .\n'.repeat(3000)
  t.like(await unread(['predict', run, '--input', '-', '--json'], texts, 1), { code: 0, stderr: '' })
  const latin1 = await cli(['predict', run, '--input', '-'], Buffer.from('fine\nna\xefve\n', 'latin1'))
  t.is(latin1.code, 1)
  t.regex(latin1.stderr, /^error: ERR_DATA_ENCODING: standard input, line 2: not valid UTF-8/)
})

const full = '/dev/full'

testUnless(existsSync(full) ? undefined : `this system has no ${full}`, 'a full disk is an error', async (t) => {
  const disk = await open(full, 'w')
  t.teardown(() => disk.close())
  const child = spawn(process.execPath, [main, 'doctor'], { stdio: ['ignore', disk.fd, 'pipe'] })
  let stderr = ''
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const code = await new Promise((finish) => child.once('close', finish))
  t.is(code, 1)
  t.regex(stderr, /^error: standard output cannot be written: .*no space left/)
})
