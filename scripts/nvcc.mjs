// The kernels through the real compiler, for sm_80 and sm_90, warnings as errors: shows registers, shared memory and spills
// of each, and fails where one needs more than test/cuda/limits.json grants.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { findToolkit } from './cuda.mjs'
import { addonName, buildFolder, root } from './native.mjs'
import { count } from './tally.mjs'

/** Where the compiled addon and the programs for tests are. */
export const folder = join(buildFolder, 'nvcc')
export const compiledAddon = join(folder, addonName)
const limitsFile = join(root, 'test', 'cuda', 'limits.json')
const archs = '80;90'

/** Builds the addon and the programs for tests into a folder. Returns false where that fails. */
export function compileInto(target, definitions) {
  const lacking = whyNoCmake()
  if (lacking) {
    console.error(lacking)
    return false
  }
  const all = ['-DOA_ISAS=scalar', '-DOA_ADDON=ON', '-DOA_TESTS=ON', ...definitions]
  const quiet = ['-Wno-dev', '--log-level=WARNING', '-DCMAKE_BUILD_TYPE=Release']
  const generator = works('make') || !works('ninja') ? [] : ['-G', 'Ninja']
  const jobs = String(Math.min(16, availableParallelism()))
  const run = (args) => spawnSync('cmake', args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
  return run(['-S', root, '-B', target, ...generator, ...all, ...quiet]) && run(['--build', target, '--parallel', jobs])
}

function works(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
}

function whyNoCmake() {
  const { stdout } = spawnSync('cmake', ['--version'], { encoding: 'utf8' })
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(stdout ?? '') ?? []
  if (major === undefined)
    return 'cmake was not found: 3.25 or later is needed, for example by: python3 -m pip install cmake'
  if (Number(major) > 3 || Number(minor) >= 25) return undefined
  return `cmake is ${major}.${minor}: 3.25 or later is needed, for example by: python3 -m pip install cmake`
}

/** With CUDA for some architectures (`80;90`). */
export function compileCuda(target, nvcc, architectures) {
  return compileInto(target, ['-DOA_CUDA=ON', `-DOA_NVCC=${nvcc}`, `-DOA_CUDA_ARCHS=${architectures}`])
}

/** What ptxas reported, one object for every kernel and architecture. */
function readReports() {
  const reports = join(folder, 'cuda')
  const kernels = readdirSync(reports)
    .filter((name) => name.endsWith('.o.txt'))
    .flatMap((name) => parseReport(readFileSync(join(reports, name), 'utf8')))
  const names = demangle(kernels.map(({ symbol }) => symbol))
  return kernels.map((kernel, i) => ({ ...kernel, name: names[i] }))
}

function parseReport(text) {
  const entry = /Compiling entry function '(\w+)' for 'sm_(\d+)\w*'([\s\S]*?)Used (\d+) registers(.*)/g
  return [...text.matchAll(entry)].map(([, symbol, arch, between, registers, rest]) => ({
    symbol,
    arch,
    registers: Number(registers),
    shared: Number(/(\d+) bytes smem/.exec(rest)?.[1] ?? 0),
    stack: Number(/(\d+) bytes stack frame/.exec(between)?.[1] ?? 0),
    spills: Number(/(\d+) bytes spill stores/.exec(between)?.[1] ?? 0),
  }))
}

/** `layer_norm_kernel<64>` of a mangled symbol: without namespace and parameters, which c++filt writes at length. */
function demangle(symbols) {
  const { status, stdout } = spawnSync('c++filt', [], { input: symbols.join('\n'), encoding: 'utf8' })
  if (status !== 0) return symbols
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) =>
      line
        .replace(/^void /, '')
        .replace(/oa::cuda::/g, '')
        .replace(/\(anonymous namespace\)::/g, '')
        .replace(/\(.*$/, ''),
    )
}

/** Sentences about kernels that need more than they are granted, or are not in the table. */
function exceeded(kernels, limits) {
  return kernels.flatMap(({ name, arch, registers, stack, spills }) => {
    const granted = limits[`${name} sm_${arch}`]
    const where = `${name} for sm_${arch}`
    if (!granted) return [`${where} is not in test/cuda/limits.json: npm run test:nvcc -- --write renews it`]
    const wrong = []
    if (spills > granted.spills) wrong.push(`${where} spills ${spills} bytes, granted are ${granted.spills}`)
    if (stack > granted.stack) wrong.push(`${where} has a stack frame of ${stack} bytes, granted are ${granted.stack}`)
    if (registers > granted.registers + 8)
      wrong.push(`${where} uses ${registers} registers, granted are ${granted.registers} and 8 more`)
    return wrong
  })
}

/** The whole of it; every kernel and architecture counts as a test. */
export function testNvcc({ write }) {
  const toolkit = findToolkit()
  if (!toolkit.nvcc) {
    console.error(`test:nvcc needs a CUDA toolkit: ${toolkit.reason}`)
    return count({ failed: 1 })
  }
  console.log(`nvcc ${toolkit.version}: ${toolkit.nvcc}`)
  if (!compileCuda(folder, toolkit.nvcc, archs)) return count({ failed: 1 })
  const kernels = readReports()
  for (const { name, arch, registers, shared, stack, spills } of kernels) {
    console.log(`${name}  sm_${arch}: ${registers} registers, ${shared} bytes shared, stack ${stack}, spills ${spills}`)
  }
  if (write) writeLimits(kernels)
  const problems = exceeded(kernels, JSON.parse(readFileSync(limitsFile, 'utf8')))
  for (const problem of problems) console.error(problem)
  count({ passed: kernels.length - problems.length, failed: problems.length })
}

function writeLimits(kernels) {
  const rows = kernels.map(({ name, arch, registers, stack, spills }) => [
    `${name} sm_${arch}`,
    { registers, stack, spills },
  ])
  rows.sort(([a], [b]) => (a < b ? -1 : 1))
  writeFileSync(limitsFile, `${JSON.stringify(Object.fromEntries(rows), undefined, 2)}\n`)
}
