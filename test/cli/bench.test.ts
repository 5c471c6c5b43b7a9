/** The bench command in child processes: tables, JSON, the file, and what it refuses. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import type { BenchReport } from '../../lib/bench/bench.js'
import { temporaryFolder, tinyBackbone } from '../support/folder.js'

const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))

function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((finish) => {
    const child = execFile(process.execPath, [main, 'bench', ...args], (_, stdout, stderr) =>
      finish({ code: child.exitCode!, stdout, stderr }),
    )
  })
}

const small = ['--sizes', '1,4', '--modes', 'adapters,head', '--workloads', 'sst2', '--batch-size', '2']
const short = ['--seconds', '0.02', '--rounds', '1', '--threads', '1']

test('tables for people, a document for programs, the same document in the file', async (t) => {
  const folder = await temporaryFolder(t)
  const backbone = await tinyBackbone(join(folder, 'backbone'))
  const file = join(folder, 'speed.json')
  const args = ['--backbone', backbone, ...small, ...short, '--output', file]
  const people = await cli(...args)
  t.is(people.code, 0, people.stderr)
  t.regex(people.stdout, /adapters 4 +\d/)
  t.regex(people.stderr, /^3\/3 {2}sst2, head: /m)
  const programs = await cli(...args, '--json', '--quiet')
  t.is(programs.stderr, '')
  const report = JSON.parse(programs.stdout) as BenchReport
  t.deepEqual(JSON.parse(readFileSync(file, 'utf8')), report)
  t.deepEqual(
    report.results.map(({ variant, size }) => [variant, size ?? null]),
    [
      ['adapters 1', 1],
      ['adapters 4', 4],
      ['head', null],
    ],
  )
})

test('wrong usage is refused at once', async (t) => {
  const misspelt = await cli('--modes', 'ful')
  t.is(misspelt.code, 2)
  t.regex(misspelt.stderr, /did you mean "full"/)
  // Before the backbone is looked for.
  const named = await cli('--backbone', 'no-owner/no-model', '--modes', 'top1')
  t.is(named.code, 2, named.stderr)
  t.regex(named.stderr, /did you mean "top-K"/)
  const nowhere = await cli('--output', '/no/such/folder/speed.json')
  t.is(nowhere.code, 2)
  t.regex(nowhere.stderr, /nothing can be written into/)
})
