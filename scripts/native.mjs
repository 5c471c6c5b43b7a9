// What the install script and the test runner share: where things are, what the stamp of a build is.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const buildFolder = join(root, 'build')
export const stampFile = join(buildFolder, 'stamp.txt')
export const addonName = 'onnx_adapters.node'
export const addonFile = join(buildFolder, 'Release', addonName)

/**
 * Options of CMakeLists.txt: what the environment asks for, and CUDA where `toolkit` (of findToolkit) is one; part of the
 * stamp.
 */
export function buildOptions(toolkit, environment = process.env) {
  const options = {}
  if (environment.ONNX_ADAPTERS_SANITIZE) options.OA_SANITIZE = environment.ONNX_ADAPTERS_SANITIZE
  if (environment.ONNX_ADAPTERS_ISAS) options.OA_ISAS = environment.ONNX_ADAPTERS_ISAS
  if (toolkit?.nvcc) {
    options.OA_CUDA = 'ON'
    options.OA_NVCC = toolkit.nvcc
    options.OA_CUDA_ARCHS = toolkit.archs.join(';')
  }
  return options
}

/** A hash of everything a build depends on: native/, CMakeLists.txt, options, platform. */
export function computeStamp(options) {
  const hash = createHash('sha256')
  const files = readdirSync(join(root, 'native'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(cc|h|inc|cu|cuh)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
  for (const file of [...files.sort(), join(root, 'CMakeLists.txt'), join(root, 'cmake', 'cuda.cmake')]) {
    hash
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update('\0')
  }
  return hash.update(JSON.stringify([options, process.platform, process.arch])).digest('hex')
}

/** The prebuilt addon of this platform that ships in the package; the file may not exist. */
export function prebuiltFile() {
  return join(root, 'prebuilds', `${process.platform}-${process.arch}`, addonName)
}

/** Why Node cannot load an addon on this machine (an older C library, say), or undefined when it can. */
export function loadFailure(file) {
  const run = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', file], { encoding: 'utf8' })
  if (run.status === 0) return undefined
  return /^Error: (.*)$/m.exec(run.stderr ?? '')?.[1] ?? `exit ${run.status ?? run.signal}`
}

/** What is missing to compile: a list of sentences, empty when all is there. */
export function missingTools() {
  const missing = []
  const works = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
  const install = {
    linux: 'for example `apt install g++ cmake make` (or dnf, apk, pacman)',
    darwin: '`xcode-select --install` and `brew install cmake`',
  }
  const how = install[process.platform] ?? 'with your package manager'
  if (!works('cmake')) missing.push(`cmake (3.25 or later) was not found in PATH; install it, ${how}`)
  const compilers = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++']
  if (!compilers.some(works)) {
    missing.push(`no C++20 compiler was found (tried ${compilers.join(', ')}; the variable CXX names another); ${how}`)
  }
  if (!works('make') && !works('ninja')) missing.push(`neither make nor ninja was found in PATH; install one, ${how}`)
  return missing
}

/** Builds FOLDER/Release/onnx_adapters.node. Returns true on success; output goes to this process's streams. */
export function compileAddon(options, folder = buildFolder) {
  const cmakeJs = join(dirname(createRequire(import.meta.url).resolve('cmake-js/package.json')), 'bin', 'cmake-js')
  // All of them every time: CMake remembers what an earlier build was told.
  const all = { OA_CUDA: 'OFF', ...options }
  const definitions = Object.entries(all).map(([name, value]) => `--CD${name}=${value}`)
  const jobs = Number(process.env.ONNX_ADAPTERS_BUILD_JOBS) || Math.min(8, availableParallelism())
  const parallel = ['--parallel', String(jobs)]
  const args = [cmakeJs, 'compile', '--log-level', 'error', '--directory', root, '--out', folder]
  const run = spawnSync(process.execPath, [...args, ...parallel, ...definitions], { cwd: root, stdio: 'inherit' })
  return run.status === 0 && existsSync(join(folder, 'Release', addonName))
}
