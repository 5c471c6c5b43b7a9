// Builds the native addon when there is none for these sources: `npm install` and `npx onnx-adapters build` come here.
// Compiles nothing when the stamp matches, and never runs tsc: npm runs that in `prepare`.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { findToolkit } from './cuda.mjs'
import {
  addonFile,
  buildFolder,
  buildOptions,
  compileAddon,
  computeStamp,
  loadFailure,
  missingTools,
  prebuiltFile,
  stampFile,
} from './native.mjs'

const say = (line) => console.log(`onnx-adapters: ${line}`)

function fail(lines) {
  for (const line of lines) console.error(`onnx-adapters: ${line}`)
  process.exit(1)
}

function main() {
  const force = process.argv.includes('--force')
  const toolkit = findToolkit()
  if (toolkit.wrong) fail([`cannot build for CUDA: ${toolkit.reason}`])
  const options = buildOptions(toolkit)
  const stamp = computeStamp(options)
  if (!force) {
    if (process.env.ONNX_ADAPTERS_SKIP_BUILD) return say('ONNX_ADAPTERS_SKIP_BUILD is set: nothing was built')
    if (existsSync(addonFile) && existsSync(stampFile) && readFileSync(stampFile, 'utf8').trim() === stamp) {
      return say('the native addon is up to date')
    }
    const wanted = Object.keys(options).length > 0
    if (!wanted && existsSync(prebuiltFile())) {
      const failure = loadFailure(prebuiltFile())
      if (!failure) return say(`uses the prebuilt addon for ${process.platform}-${process.arch}`)
      say(`the prebuilt addon does not load here: ${failure}`)
    }
  }
  if (process.platform === 'win32') {
    fail(['Windows is not supported directly; install inside WSL 2 (https://learn.microsoft.com/windows/wsl/install)'])
  }
  const missing = missingTools()
  if (missing.length > 0) fail(['the native addon cannot be compiled:', ...missing.map((line) => `  - ${line}`)])

  const cuda = toolkit.nvcc
    ? `and CUDA ${toolkit.version} (${toolkit.nvcc}, sm_${toolkit.archs.join(', sm_')})`
    : `without CUDA: ${toolkit.reason}`
  say(`compiles the native addon for CPU (${process.platform}-${process.arch}) ${cuda}`)
  const started = Date.now()
  mkdirSync(buildFolder, { recursive: true })
  rmSync(stampFile, { force: true })
  if (!compileAddon(options) && !compileWithoutCuda(toolkit)) {
    fail([
      'compiling the native addon failed; the compiler output is above.',
      'It needs CMake 3.25 and a C++20 compiler: GCC 11, Clang 14 or Xcode 14, or later.',
      'After a repair: npx onnx-adapters build',
    ])
  }
  writeFileSync(stampFile, `${stamp}\n`)
  say(`built build/Release/onnx_adapters.node in ${Math.round((Date.now() - started) / 1000)} s`)
}

/** A toolkit that was found but not asked for must not stand in the way of the CPU. */
function compileWithoutCuda({ nvcc }) {
  if (!nvcc || process.env.ONNX_ADAPTERS_CUDA === 'on') return false
  say(
    'compiling for CUDA failed (the output is above); compiles for the CPU alone. ONNX_ADAPTERS_CUDA=off says so at once',
  )
  return compileAddon(buildOptions(undefined))
}

main()
