/** What a training shows on terminals of several widths, in logs, and where nothing is asked for. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { asTsv, colourRows, temporaryFolder, tinyBackbone, writeFiles } from '../support/folder.js'
import { noTerminal, runInTerminal, screenOf } from '../support/terminal.js'
import { testUnless } from '../support/unless.js'

const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))

async function command(t: ExecutionContext, ...more: string[]): Promise<string[]> {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  // Rows of more than ten tokens, of ten that are allowed: a warning before the bar.
  await writeFiles(folder, { 'train.tsv': asTsv(colourRows(1920)), 'dev.tsv': asTsv(colourRows(90)) })
  const files = ['--train', join(folder, 'train.tsv'), '--validation', join(folder, 'dev.tsv')]
  const rest = ['--output', join(folder, 'run'), '--adapter-size', '8', '--threads', '1', '--batch-size', '8']
  return [process.execPath, main, 'train', '--backbone', backbone, ...files, ...rest, '--epochs', '2', ...more]
}

function run([program, ...args]: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((finish) => {
    const child = spawn(program!, args, { env: { ...process.env, ...env } })
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk))
    child.once('close', (code) => finish({ code, ...text }))
  })
}

/** The frames of the bar: what stands between a move to the first column and the clearing of the rest. */
const framesOf = (output: string) => [...output.matchAll(/\x1b\[1G([^\x1b]*)\x1b\[0K/g)].map(([, frame]) => frame!)

for (const columns of [20, 40, 80, 200]) {
  testUnless(noTerminal, `a terminal of ${columns} columns`, async (t) => {
    const { code, output } = await runInTerminal(await command(t, '--max-length', '8'), { columns })
    t.is(code, 0, output)
    const frames = framesOf(output)
    t.true(frames.length > 3, output)
    for (const frame of frames) t.true([...frame].length < columns, frame)
    t.true(frames.some((frame) => /\d+%  .*\d:\d\d left/.test(frame)))
    if (columns > 20) t.true(frames.some((frame) => /█+░* {2}\d+%/.test(frame)))
    t.is(
      frames.some((frame) => /step [\d,]+\/480 {2}loss \d\.\d{4} {2}[\d,]+ tokens\/s/.test(frame)),
      columns >= 80,
    )
    // Every line is still there, and the bar has gone.
    const screen = screenOf(output, 10_000)
    t.regex(screen[0]!, /^warning: 2010 of 2010 rows are longer than 8 tokens/)
    t.regex(screen[1]!, /^training 2,627 parameters .* on 1,920 rows, validating on 90: 2 epochs, 480 steps$/)
    t.regex(screen[2]!, /^epoch 1: accuracy .* \(90 rows, best so far\)$/)
    t.regex(screen[3]!, /^epoch 2: accuracy .* \(90 rows/)
    t.regex(screen[4]!, /^best epoch/)
    t.notRegex(screen.join('\n'), /[█░]|left$/m)
    // The cursor and the terminal's wrapping are never switched: a killed process leaves both as they were.
    t.notRegex(output, /\x1b\[\?/)
  })
}

testUnless(noTerminal, 'a terminal that becomes narrower, then frames that fit', async (t) => {
  const { code, output } = await runInTerminal(await command(t), { columns: 100, later: 30 })
  t.is(code, 0, output)
  const frames = framesOf(output).map((frame) => [...frame].length)
  const firstNarrow = frames.findIndex((length) => length < 30 && length > 0)
  t.true(frames.slice(0, firstNarrow).some((length) => length > 60))
  t.true(firstNarrow > 0)
  for (const length of frames.slice(firstNarrow + 1)) t.true(length < 30)
})

for (const [what, env] of [
  ['CI', { CI: 'true' }],
  ['a dumb terminal', { TERM: 'dumb' }],
] as const) {
  testUnless(noTerminal, `a terminal in ${what} gets lines, no bar`, async (t) => {
    const { code, output } = await runInTerminal(await command(t), { columns: 80, env })
    t.is(code, 0)
    t.notRegex(output, /\x1b/)
    t.regex(output, /epoch 2: accuracy/)
  })
}

testUnless(noTerminal, 'a locale without block characters', async (t) => {
  const { output } = await runInTerminal(await command(t), { columns: 80, env: { LC_ALL: 'C' } })
  t.regex(output, /#+-* {2}\d+%/)
  t.notRegex(output, /[█░]/)
})

test('a pipe gets lines, and a result that is JSON and nothing else', async (t) => {
  const { code, stdout, stderr } = await run(await command(t, '--json'))
  t.is(code, 0, stderr)
  t.like(JSON.parse(stdout), { history: [{ epoch: 1 }, { epoch: 2 }] })
  t.notRegex(stderr, /\x1b|\r/)
  t.deepEqual(
    stderr
      .trim()
      .split('\n')
      .map((line) => line.split(/[ :]/, 2).join(' ')),
    ['training 2,627', 'epoch 1', 'epoch 2'],
  )
})

test('quiet', async (t) => {
  const { code, stdout, stderr } = await run(await command(t, '--quiet', '--json', '--max-length', '8'))
  t.is(code, 0)
  t.is(stderr, '')
  t.notThrows(() => JSON.parse(stdout) as unknown)
})

test('whoever reads along may leave', async (t) => {
  const words = (await command(t, '--json')).map((word) => `'${word}'`).join(' ')
  const { code, stdout } = await run(['sh', '-c', `{ ${words} 2>&1 >&3 | head -c 1 >/dev/null; } 3>&1`])
  t.is(code, 0)
  t.is((JSON.parse(stdout) as { history: unknown[] }).history.length, 2)
})
