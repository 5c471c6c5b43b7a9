// Runs the tests: all of them, those of the files named as arguments, or
//   --smoke       the quickest
//   --fixtures    every ONNX fixture, a line each: imported with its largest difference, or refused with its error
//   --fuzz        readers of files against damaged ones, a million each; ONNX_ADAPTERS_FUZZ asks for another number
//   --native      the op tests, and the engine without Node
//   --sanitizers  the engine without Node under AddressSanitizer + UBSan and under ThreadSanitizer
//   --arm64       the engine without Node, compiled for arm64 and emulated by qemu
//   --nvcc        the kernels for GPUs through the real compiler (a CUDA toolkit is needed); --write renews their limits
//   --gpu         the op cases and trainings on the GPU of this machine, and under compute-sanitizer where it runs
//                 (--no-sanitizer leaves that out: it takes longest)
//   --package     the packed package, installed into empty folders; needs the npm registry
// The last line is `N passed, N failed, N skipped`; the exit code says the same.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { addonName, root } from './native.mjs'
import { testGpu } from './gpu.mjs'
import { compiledAddon, testNvcc } from './nvcc.mjs'
import { programFolder, recordings, runPrograms } from './programs.mjs'
import { countAva, finish, need, runTests } from './tally.mjs'

// What is recorded for oa_replay.
const recordedTests = ['dist-test/test/ops/*.test.js', 'dist-test/test/model/recording.test.js']

const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')

function compile(project) {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  need(`compiling by ${project}`, process.execPath, [compiler, '-p', project])
}

function buildTests() {
  need('building the addon', process.execPath, [join(root, 'scripts', 'install.mjs')])
  compileTests()
}

function compileTests() {
  rmSync(join(root, 'dist-test'), { recursive: true, force: true })
  compile('tsconfig.test.json')
}

/** Compiles, runs ava on the patterns (all files when empty) and records the op cases among them anew. */
async function runAva(patterns) {
  buildTests()
  rmSync(recordings, { recursive: true, force: true })
  mkdirSync(recordings, { recursive: true })
  const environment = { ONNX_ADAPTERS_RECORD: recordings }
  await runTests(process.execPath, [ava, ...patterns], { count: countAva, environment })
}

/** Tests with Node of an addon with CUDA, from some folders of test/cuda. */
async function runCuda(folders, addon) {
  const environment = { ONNX_ADAPTERS_ADDON: addon, ONNX_ADAPTERS_CUDA_TESTS: folders }
  const config = join('test', 'cuda', 'ava.config.mjs')
  await runTests(process.execPath, [ava, '--config', config], { count: countAva, environment })
}

/** Tests whose title begins with "damaged", of the readers of files. */
async function runFuzz() {
  compileTests()
  const environment = { ONNX_ADAPTERS_FUZZ: process.env.ONNX_ADAPTERS_FUZZ ?? '1000000' }
  const readers = ['onnx/fuzz', 'formats/safetensors_fuzz', 'formats/torch_file', 'formats/interop_fuzz']
  const files = readers.map((name) => join('dist-test', 'test', `${name}.test.js`))
  await runTests(process.execPath, [ava, '--timeout=3h', '--match', 'damaged*', ...files], {
    count: countAva,
    environment,
  })
}

async function runPackageTests() {
  buildTests()
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  compile('tsconfig.json')
  const config = join('test', 'package', 'ava.config.mjs')
  await runTests(process.execPath, [ava, '--config', config], { count: countAva })
}

async function runFixtures() {
  buildTests()
  await runTests(process.execPath, [join('dist-test', 'test', 'model', 'list_fixtures.js')], { count: countAva })
}

/** test/ops/linear.test.ts as the compiled file. */
function compiled(file) {
  return join('dist-test', relative(root, resolve(file))).replace(/\.ts$/, '.js')
}

function hasRecordings() {
  return existsSync(recordings) && readdirSync(recordings).length > 0
}

async function main() {
  const args = process.argv.slice(2)
  const files = args.filter((arg) => !arg.startsWith('--'))
  if (files.length > 0) await runAva(files.map(compiled))
  else if (args.includes('--package')) await runPackageTests()
  else if (args.includes('--fuzz')) await runFuzz()
  else if (args.includes('--fixtures')) await runFixtures()
  else if (args.includes('--nvcc')) {
    buildTests()
    testNvcc({ write: args.includes('--write') })
    await runCuda('compiled', compiledAddon)
  } else if (args.includes('--gpu')) {
    // A bundle for a machine without a network has both, and no compiler of TypeScript.
    if (!hasRecordings()) await runAva(recordedTests)
    else if (existsSync(join(root, 'node_modules', 'typescript'))) compileTests()
    await testGpu((addon) => runCuda('gpu', addon), { sanitize: !args.includes('--no-sanitizer') })
  } else if (args.includes('--smoke')) await runAva(['dist-test/test/smoke.test.js'])
  else if (args.includes('--sanitizers') || args.includes('--arm64')) {
    if (!hasRecordings()) await runAva(recordedTests)
    if (args.includes('--sanitizers'))
      for (const name of ['address', 'thread', 'emulated-address']) await runPrograms(name)
    if (args.includes('--arm64')) await runPrograms('arm64')
  } else {
    await runAva(args.includes('--native') ? recordedTests : [])
    await runPrograms('release')
    await runPrograms('emulated')
    if (!args.includes('--native')) await runCuda('gpu,emulated', join(programFolder('emulated'), addonName))
  }
  finish()
}

await main()
