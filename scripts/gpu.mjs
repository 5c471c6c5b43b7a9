// The GPU of this machine against the CPU: op cases, trainings, the same under compute-sanitizer, and a report of the errors.
//   node scripts/gpu.mjs --build   compiles for the GPUs of this machine
//   node scripts/gpu.mjs --smoke   what can be tried without a GPU: the kernels by their stand-ins
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findToolkit } from './cuda.mjs'
import { addonName, buildFolder, root } from './native.mjs'
import { compileCuda, compileInto } from './nvcc.mjs'
import { countCases, programFolder, recordings } from './programs.mjs'
import { summariseOps } from './parity.mjs'
import { count, finish, runTests } from './tally.mjs'

const folder = join(buildFolder, 'gpu')
const addon = join(folder, addonName)
const reportFile = join(buildFolder, 'gpu-report.json')
const tools = ['memcheck', 'racecheck']

function fail(message) {
  console.error(message)
  count({ failed: 1 })
  return false
}

/** Compiles for the GPUs that are here. Returns the toolkit, or undefined. */
function build() {
  const toolkit = findToolkit()
  if (!toolkit.nvcc) return void fail(`a CUDA toolkit is needed: ${toolkit.reason}`)
  console.log(`nvcc ${toolkit.version} (${toolkit.nvcc}) for sm_${toolkit.archs.join(', sm_')}`)
  if (!compileCuda(folder, toolkit.nvcc, toolkit.archs.join(';'))) return void fail('compiling for the GPU failed')
  console.log(`built ${relative(root, addon)}`)
  return toolkit
}

/** What the addon says of the GPUs here. */
function describeGpus() {
  const { cuda } = createRequire(import.meta.url)(addon).describe()
  return cuda
}

/**
 * All of it. `runNode` runs the tests with Node on an addon; without `sanitize` compute-sanitizer is left out.
 * The report, build/gpu-report.json, is for bench/results/.
 */
export async function testGpu(runNode, { sanitize }) {
  const toolkit = build()
  if (!toolkit) return
  const cuda = describeGpus()
  if (!cuda.ok) return void fail(`test:gpu needs an NVIDIA GPU: ${cuda.reason}`)
  for (const [i, gpu] of cuda.gpus.entries()) console.log(`GPU ${i}: ${gpu}`)
  const files = readdirSync(recordings).map((file) => join(recordings, file))
  const [lines, parity] = ['gpu-ops.tsv', 'gpu-parity.json'].map((name) => join(buildFolder, name))
  for (const file of [lines, parity]) rmSync(file, { force: true })
  await replay([], ['--device', 'cuda', '--repeat', '2', '--report', lines, ...files])
  await replayOnOthers(cuda.gpus, files)
  process.env.ONNX_ADAPTERS_PARITY = parity
  await runNode(addon)
  const ops = existsSync(lines) ? summariseOps(readFileSync(lines, 'utf8')) : []
  const trainings = existsSync(parity) ? JSON.parse(readFileSync(parity, 'utf8')) : []
  const { gpus, driver, cublaslt } = cuda
  const report = { format: 1, kind: 'parity', date: new Date().toISOString().slice(0, 10), gpus, driver, cublaslt }
  mkdirSync(dirname(reportFile), { recursive: true })
  writeFileSync(reportFile, `${JSON.stringify({ ...report, toolkit: toolkit.version, ops, trainings }, null, 1)}\n`)
  console.log(`report: ${relative(root, reportFile)}`)
  // Last, since it takes longest.
  await replayUnderTools(toolkit, files, sanitize)
}

function replay(prefix, args) {
  const [command, ...rest] = [...prefix, join(folder, 'oa_replay'), ...args]
  const device = args[args.indexOf('--device') + 1]
  console.log(`\noa_replay on ${device}${prefix.length > 0 ? ` under ${prefix.slice(0, 3).join(' ')}` : ''}`)
  return runTests(command, rest, { count: countCases })
}

/** One op's cases show that memory and streams are on the right one. */
async function replayOnOthers(gpus, files) {
  if (gpus.length < 2) {
    console.log('skipped: a second GPU: there is one')
    return count({ skipped: 1 })
  }
  const few = files.filter((file) => /\/linear_/.test(file))
  for (let i = 1; i < gpus.length; i++) await replay([], ['--device', `cuda:${i}`, ...few])
}

async function replayUnderTools(toolkit, files, sanitize) {
  const command = sanitize ? findSanitizer(toolkit) : undefined
  const absent = sanitize ? 'the tool was not found beside nvcc or in PATH' : '--no-sanitizer'
  for (const tool of tools) {
    const refusal = command ? whyNot(command, tool, files) : absent
    if (refusal) {
      console.log(`skipped: op cases under compute-sanitizer --tool ${tool}: ${refusal}`)
      count({ skipped: 1 })
    } else {
      await replay([command, '--tool', tool, '--error-exitcode', '1'], ['--device', 'cuda', ...files])
    }
  }
}

function findSanitizer({ nvcc }) {
  const bin = dirname(nvcc)
  const places = [join(bin, 'compute-sanitizer'), join(bin, '..', 'compute-sanitizer', 'compute-sanitizer')]
  const found = places.find((file) => existsSync(file)) ?? 'compute-sanitizer'
  return spawnSync(found, ['--version'], { stdio: 'ignore' }).status === 0 ? found : undefined
}

/** Some hosts have the tool but forbid what it needs: it is tried on one small case. A fault that it finds is no refusal. */
function whyNot(command, tool, files) {
  const small = files.find((file) => /\/add_/.test(file)) ?? files[0]
  const args = ['--tool', tool, join(folder, 'oa_replay'), '--device', 'cuda', small]
  const trial = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 })
  if (trial.error) return trial.error.message
  if (trial.status === 0) return undefined
  const lines = `${trial.stdout}\n${trial.stderr}`.split('\n')
  const refusal = /not supported|initiali[sz]e|attach|permission|unknown error|cudaErrorUnknown|internal error/i
  const said = lines.find((line) => refusal.test(line))
  return said && `it fails here: ${said.replace(/^=+ */, '').trim()}`
}

/** The kernels on the CPU, and a short bench: shows that what was brought here is whole. */
async function smoke() {
  const target = programFolder('emulated')
  if (!compileInto(target, ['-DOA_CUDA=EMULATED'])) return fail('compiling failed')
  const files = readdirSync(recordings)
    .filter((file) => /^(add|layer_norm|linear)_/.test(file))
    .map((file) => join(recordings, file))
  await runTests(join(target, 'oa_replay'), ['--device', 'cuda', ...files], { count: countCases })
  const bench = join(root, 'dist-test', 'bench', 'gpu.js')
  const args = [
    '--device',
    'cpu',
    '--shapes',
    'tiny',
    '--models',
    '8',
    '--rows',
    '2',
    '--quick',
    '--milliseconds',
    '50',
  ]
  const environment = { ONNX_ADAPTERS_ADDON: join(target, addonName) }
  const counted = (text) => ({ passed: /tiny equal 2 8/.test(text) ? 1 : 0, failed: 0 })
  await runTests(process.execPath, [bench, ...args], { count: counted, environment })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--smoke')) await smoke()
  else if (build()) count({ passed: 1 })
  finish()
}
