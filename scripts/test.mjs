// Runs the tests: `npm test [-- test/ops/linear.test.ts ...]`, `--smoke` for the quick ones, `--native` for the op tests
// and the programs without Node alone. Its last line is `N passed, N failed, N skipped`; the exit code says the same.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { buildFolder, root } from './native.mjs'

const recordings = join(buildFolder, 'recordings')
const nativeBuild = join(buildFolder, 'tests')
const total = { passed: 0, failed: 0, skipped: 0 }

function add(counts) {
  for (const key of Object.keys(total)) total[key] += counts[key] ?? 0
}

function finish() {
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
  process.exit(total.failed > 0 ? 1 : 0)
}

/** A step that has to work before anything can be tested. */
function require(what, command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (status === 0) return
  console.error(`${what} failed${error ? `: ${error.message}` : ''}`)
  add({ failed: 1 })
  finish()
}

/** Shows the output while it comes, and returns it. */
function watch(command, args, environment = {}) {
  return new Promise((done) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...environment } })
    let text = ''
    for (const [from, to] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      from.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
        to.write(chunk)
      })
    }
    child.on('error', (error) => done({ status: 1, text: `${text}${error.message}` }))
    child.on('close', (status) => done({ status: status ?? 1, text }))
  })
}

/** What a run's own summary says; a bad exit without a failure in it counts as one. */
function countsOf({ status, text }, patterns) {
  const sum = (pattern) => [...text.matchAll(pattern)].reduce((n, match) => n + Number(match[1]), 0)
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const [key, pattern] of patterns) counts[key] += sum(pattern)
  if (status !== 0 && counts.failed === 0) counts.failed = 1
  return counts
}

const avaSummary = [
  ['passed', /^\s*(\d+) tests? passed/gm],
  ['failed', /^\s*(\d+) (?:tests?|hooks?) failed/gm],
  ['failed', /^\s*(\d+) (?:uncaught exceptions?|unhandled rejections?|tests? remained pending|tests? timed out)/gm],
  ['skipped', /^\s*(\d+) tests? (?:skipped|todo)/gm],
]
const programSummary = [
  ['passed', /^(\d+) passed, \d+ failed$/gm],
  ['failed', /^\d+ passed, (\d+) failed$/gm],
]

async function runAva(files) {
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  rmSync(recordings, { recursive: true, force: true })
  mkdirSync(recordings, { recursive: true })
  add(countsOf(await watch(process.execPath, [ava, ...files], { ONNX_ADAPTERS_RECORD: recordings }), avaSummary))
}

/** The recorded op cases again, without Node: every instruction set, several threads, no allocation in a warm step. */
async function runPrograms() {
  require('configuring the native tests', 'cmake', [
    '-S',
    root,
    '-B',
    nativeBuild,
    '-DOA_TESTS=ON',
    '-DOA_ADDON=OFF',
    '-DCMAKE_BUILD_TYPE=Release',
    '-Wno-dev',
    '--log-level=WARNING',
  ])
  require('building the native tests', 'cmake', [
    '--build',
    nativeBuild,
    '--parallel',
    String(Math.min(8, availableParallelism())),
  ])
  add(countsOf(await watch(join(nativeBuild, 'oa_selftest'), []), programSummary))
  const files = existsSync(recordings) ? readdirSync(recordings).map((name) => join(recordings, name)) : []
  if (files.length === 0) return
  const options = ['--isa', 'all', '--threads', '3', '--count-allocations']
  add(countsOf(await watch(join(nativeBuild, 'oa_replay'), [...options, ...files]), programSummary))
}

/** test/ops/linear.test.ts as the compiled file. */
function compiled(file) {
  return join('dist-test', relative(root, resolve(file))).replace(/\.ts$/, '.js')
}

async function main() {
  const args = process.argv.slice(2)
  const smoke = args.includes('--smoke')
  const native = args.includes('--native')
  const chosen = args.filter((arg) => !arg.startsWith('--'))
  require('building the addon', process.execPath, [join(root, 'scripts', 'install.mjs')])
  rmSync(join(root, 'dist-test'), { recursive: true, force: true })
  require('compiling the tests', process.execPath, [
    join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    'tsconfig.test.json',
  ])
  if (chosen.length > 0) await runAva(chosen.map(compiled))
  else if (smoke) await runAva(['dist-test/test/smoke.test.js'])
  else if (native) await runAva(['dist-test/test/ops/*.test.js'])
  else await runAva([])
  if (native || (chosen.length === 0 && !smoke)) await runPrograms()
  finish()
}

await main()
