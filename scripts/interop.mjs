// Round trips with the libraries that runs are exported to and imported from. They are installed into build/interop: the
// Python ones by pip into a virtual environment, @huggingface/transformers by npm. What cannot be installed is said, and
// its tests are skipped by name. ONNX_ADAPTERS_PYTHON and ONNX_ADAPTERS_TRANSFORMERS_JS name what is installed already.
// The last line is `N passed, N failed, N skipped`; the exit code says the same.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildFolder, root } from './native.mjs'
import { countAva, finish, need, runTests } from './tally.mjs'

const folder = join(buildFolder, 'interop')
const python = ['torch', 'adapters==1.3.0', 'peft==0.21.2', 'onnx']
const library = '@huggingface/transformers@4'

/** @returns true where it worked */
function run(what, command, args, options = {}) {
  console.log(`${what} ...`)
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options })
  if (status !== 0) console.log(`${what} failed${error ? `: ${error.message}` : ''}: its tests are skipped`)
  return status === 0
}

/** The interpreter with the Python libraries; undefined where there is none. */
function installPython() {
  const environment = join(folder, 'venv')
  const interpreter = join(environment, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')
  if (!existsSync(interpreter) && !run('making a Python environment', 'python3', ['-m', 'venv', environment]))
    return undefined
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
  return run(`installing ${python.join(', ')}`, interpreter, [...pip, ...python]) ? interpreter : undefined
}

/** The folder with transformers.js; undefined where it cannot be had. */
function installTransformersJs() {
  const place = join(folder, 'transformers.js')
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'package.json'), '{ "private": true }\n')
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', library]
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  return run(`installing ${library}`, npm, args, { cwd: place }) ? place : undefined
}

need('building the addon', process.execPath, [join(root, 'scripts', 'install.mjs')])
rmSync(join(root, 'dist-test'), { recursive: true, force: true })
need('compiling the tests', process.execPath, [
  join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
  '-p',
  'tsconfig.test.json',
])
const { ONNX_ADAPTERS_PYTHON, ONNX_ADAPTERS_TRANSFORMERS_JS } = process.env
const environment = {
  ONNX_ADAPTERS_PYTHON: ONNX_ADAPTERS_PYTHON ?? installPython() ?? '',
  ONNX_ADAPTERS_TRANSFORMERS_JS: ONNX_ADAPTERS_TRANSFORMERS_JS ?? installTransformersJs() ?? '',
}
const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
const config = join('test', 'interop', 'ava.config.mjs')
await runTests(process.execPath, [ava, '--config', config], { count: countAva, environment })
finish()
